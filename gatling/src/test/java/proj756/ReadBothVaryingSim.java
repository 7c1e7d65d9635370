package proj756;

/** Each user reads a user's record and a song in turn, and waits 1 to 60 s after each: load that varies, on S1 and S2. */
public final class ReadBothVaryingSim extends ReadSim {
  public ReadBothVaryingSim() {
    super("Read both, varying", Reads.user().pause(1, 60).exec(Reads.song()).pause(1, 60));
  }
}
