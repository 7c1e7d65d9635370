package proj756;

import static io.gatling.javaapi.core.CoreDsl.StringBody;
import static io.gatling.javaapi.core.CoreDsl.doIf;
import static io.gatling.javaapi.core.CoreDsl.exec;
import static io.gatling.javaapi.core.CoreDsl.jmesPath;
import static io.gatling.javaapi.http.HttpDsl.http;
import static io.gatling.javaapi.http.HttpDsl.status;

import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.core.Session;
import java.util.concurrent.TimeUnit;

/** The token of a simulated user: one login, and another one before the token expires. */
final class Token {

  /** The session's attribute with the token. */
  static final String JWT = "jwt";

  /** The session's attribute with the user's own id, set once before the first login. */
  static final String UID = "uid";

  private static final String LIFETIME = "expires_in";
  private static final String RENEW_AT = "renewAt";
  private static final double USED_SHARE = 0.8;

  private Token() {}

  /** Logs in if the user has no token yet, or one with less than a fifth of its life left. */
  static final ChainBuilder KEEP = doIf(Token::isDue).then(
      exec(http("Login")
          .put("/api/v1/user/login")
          .body(StringBody("{\"uid\": \"#{" + UID + "}\"}"))
          .asJson()
          .check(
              status().is(200),
              jmesPath("jwt").saveAs(JWT),
              jmesPath("expires_in").ofInt().saveAs(LIFETIME))),
      exec(Token::planRenewal));

  /** Forgets a token that was refused with 401, so that the next round logs in again. */
  static Session forgetIfRefused(Session session, int status) {
    return status == 401 ? session.removeAll(JWT, RENEW_AT) : session;
  }

  private static boolean isDue(Session session) {
    return !session.contains(RENEW_AT) || System.nanoTime() - session.getLong(RENEW_AT) >= 0;
  }

  private static Session planRenewal(Session session) {
    if (!session.contains(LIFETIME)) {
      return session; // the login failed: the next round tries again
    }
    long used = (long) (TimeUnit.SECONDS.toNanos(session.getInt(LIFETIME)) * USED_SHARE);
    return session.set(RENEW_AT, System.nanoTime() + used).remove(LIFETIME);
  }
}
