package proj756;

/** Each user reads a song and waits 1 s: slightly less than one read a second and user, on S2. */
public final class ReadMusicSim extends ReadSim {
  public ReadMusicSim() {
    super("Read music", Reads.song().pause(1));
  }
}
