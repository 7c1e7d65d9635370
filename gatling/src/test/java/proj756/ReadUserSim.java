package proj756;

/** Each user reads a user's record and waits 1 s: slightly less than one read a second and user, on S1. */
public final class ReadUserSim extends ReadSim {
  public ReadUserSim() {
    super("Read users", Reads.user().pause(1));
  }
}
