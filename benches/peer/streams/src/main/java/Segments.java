import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Cut points and map, as the benchmark wrote them out of ebbflow's own rules: four lines of edges
 * or names, the last one with 125 names by R, F and M.
 */
final class Segments {
  private static final int LEVELS = 5;
  private static final long DAY_MS = 86_400_000L;

  private final long[] recencyDays;
  private final long[] frequency;
  private final long[] monetaryMinor;
  private final String[] names;

  Segments(Path file) throws IOException {
    List<String> lines = Files.readAllLines(file);
    recencyDays = edges(lines.get(0));
    frequency = edges(lines.get(1));
    monetaryMinor = edges(lines.get(2));
    names = lines.get(3).split(",");
  }

  private static long[] edges(String line) {
    return java.util.Arrays.stream(line.split(",")).mapToLong(Long::parseLong).toArray();
  }

  /** A value strictly above an edge is beyond it. */
  private static int beyond(long[] edges, long value, long unit) {
    int beyond = 0;
    while (beyond < edges.length && value > edges[beyond] * unit) {
      beyond++;
    }
    return beyond;
  }

  int r(long silenceMs) {
    return LEVELS - beyond(recencyDays, silenceMs, DAY_MS);
  }

  int f(long orders) {
    return 1 + beyond(frequency, orders, 1);
  }

  int m(long netMinor) {
    return 1 + beyond(monetaryMinor, netMinor, 1);
  }

  String name(int r, int f, int m) {
    return names[((r - 1) * LEVELS + f - 1) * LEVELS + m - 1];
  }
}
