package proj756;

import java.time.Duration;
import java.util.Optional;

/**
 * What a run is told through its environment.
 *
 * @param baseUrl the place under load, without a trailing slash
 * @param users number of simulated users
 * @param duration how long the run lasts; empty: until it is ended
 */
record Settings(String baseUrl, int users, Optional<Duration> duration) {

  /**
   * Reads CLUSTER_IP, CLUSTER_PORT (default 80), USERS (default 1) and DURATION (seconds, default: no end).
   *
   * @throws IllegalArgumentException if a variable is missing or no positive whole number
   */
  static Settings fromEnvironment() {
    String host = variable("CLUSTER_IP")
        .orElseThrow(() -> new IllegalArgumentException("CLUSTER_IP is not set: the address to send the load to"));
    int port = positive("CLUSTER_PORT").orElse(80);
    String urlHost = host.contains(":") ? "[" + host + "]" : host;
    return new Settings(
        "http://" + urlHost + ":" + port,
        positive("USERS").orElse(1),
        positive("DURATION").map(Duration::ofSeconds));
  }

  private static Optional<String> variable(String name) {
    return Optional.ofNullable(System.getenv(name)).filter(value -> !value.isBlank());
  }

  private static Optional<Integer> positive(String name) {
    return variable(name).map(value -> {
      if (!value.matches("[1-9][0-9]{0,8}")) {
        throw new IllegalArgumentException(name + " is \"" + value + "\": it must be a whole number above 0");
      }
      return Integer.valueOf(value);
    });
  }
}
