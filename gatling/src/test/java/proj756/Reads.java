package proj756;

import static io.gatling.javaapi.core.CoreDsl.csv;
import static io.gatling.javaapi.core.CoreDsl.doIf;
import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.feed;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.status;

import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.core.FeederBuilder;
import io.gatling.javaapi.core.Session;

/** The reads of the API, each of a random row of the sample data and with the user's own token. */
final class Reads {

  private static final String STATUS = "status";

  private Reads() {}

  /** Gives each simulated user a row of its own as long as there are enough: who it is. */
  static ChainBuilder identity() {
    return feed(csv("data/users.csv").circular())
        .exec(session -> session.set(Token.UID, session.getString("user_id")));
  }

  /** Reads one user's record. */
  static ChainBuilder user() {
    return read("Read user", csv("data/users.csv").random(), "/api/v1/user/#{user_id}");
  }

  /** Reads one song. */
  static ChainBuilder song() {
    return read("Read song", csv("data/music.csv").random(), "/api/v1/music/#{music_id}");
  }

  private static ChainBuilder read(String name, FeederBuilder<String> rows, String path) {
    return exec(
        Token.KEEP,
        doIf(session -> session.contains(Token.JWT)).then(
            feed(rows),
            exec(http(name)
                .get(path)
                .header("Authorization", "Bearer #{" + Token.JWT + "}")
                .check(status().saveAs(STATUS), status().is(200))),
            exec(Reads::afterRead)));
  }

  private static Session afterRead(Session session) {
    if (!session.contains(STATUS)) {
      return session; // no answer at all
    }
    return Token.forgetIfRefused(session, session.getInt(STATUS)).remove(STATUS);
  }
}
