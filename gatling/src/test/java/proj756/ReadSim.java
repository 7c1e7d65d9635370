package proj756;

import static io.gatling.javaapi.core.CoreDsl.forever;
import static io.gatling.javaapi.core.CoreDsl.pause;
import static io.gatling.javaapi.core.CoreDsl.rampUsers;
import static io.gatling.javaapi.core.CoreDsl.scenario;
import static io.gatling.javaapi.http.HttpDsl.http;

import io.gatling.javaapi.core.ChainBuilder;
import io.gatling.javaapi.core.Session;
import io.gatling.javaapi.core.Simulation;
import io.gatling.javaapi.http.HttpProtocolBuilder;
import java.time.Duration;

/**
 * A fixed number of users, each of which repeats one round of reads and waits until the run ends. A failed request is
 * counted (KO) and the user goes on.
 */
abstract class ReadSim extends Simulation {

  private static final int NEW_USERS_PER_SECOND = 10;
  private static final double GOLDEN_RATIO = 0.618034;
  private static final long SECOND = 1000; // milliseconds

  /**
   * @param name the scenario's name in the report
   * @param round what a user does again and again, its waiting included
   */
  ReadSim(String name, ChainBuilder round) {
    Settings settings = Settings.fromEnvironment();
    HttpProtocolBuilder protocol = http
        .baseUrl(settings.baseUrl())
        .acceptHeader("application/json")
        .userAgentHeader("c756-gatling")
        .disableCaching()
        .disableFollowRedirect();
    Duration ramp = Duration.ofMillis(SECOND * Math.max(1, settings.users() / NEW_USERS_PER_SECOND));
    SetUp run = setUp(
        scenario(name)
            .exec(Reads.identity(), Token.KEEP, pause(ReadSim::untilOwnPhase), forever().on(round))
            .injectOpen(rampUsers(settings.users()).during(ramp)))
        .protocols(protocol);
    settings.duration().ifPresent(run::maxDuration);
  }

  /**
   * How long a user waits for its own part of the clock's second (multiples of the golden ratio lie well apart), so that
   * users with the same waiting time do not fire in one instant, not even if a slow start of the JVM held them all up.
   */
  private static Duration untilOwnPhase(Session session) {
    long phase = (long) (session.userId() * GOLDEN_RATIO % 1 * SECOND);
    return Duration.ofMillis(Math.floorMod(phase - System.currentTimeMillis(), SECOND));
  }
}
