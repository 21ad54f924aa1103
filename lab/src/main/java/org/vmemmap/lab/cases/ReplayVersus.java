// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Series;

/** Replays cases on two kernels of the series and shows the facts in which these two differ. */
public final class ReplayVersus {
  private static final String AS_CAPTURED = "as captured";

  private final @Nullable Series one;
  private final Series other;
  private final PrintWriter out;

  private record Fact(int step, String label, String path) {}

  /**
   * Compares two kernels.
   *
   * @param one the first; null for the captured one's
   * @param other the second
   */
  public ReplayVersus(@Nullable Series one, Series other, PrintWriter out) {
    this.one = one;
    this.other = other;
    this.out = out;
  }

  /**
   * Replays case files on both and prints, for each fact in which they differ, what was captured and
   * what each of them has.
   *
   * @throws org.vmemmap.lab.boot.BadInput for a file that is no case
   */
  public void run(List<Path> files) {
    List<VmemmapCase> cases = files.stream().map(CaseFiles::read).toList();
    for (VmemmapCase each : cases) {
      Series first = one == null ? each.machine().config().series() : one;
      compare(each, first);
      out.flush();
    }
  }

  private void compare(VmemmapCase each, Series first) {
    Map<Fact, Mismatch> left = mismatches(each.withSeries(first));
    Map<Fact, Mismatch> right = mismatches(each.withSeries(other));
    Set<Fact> facts = new LinkedHashSet<>(left.keySet());
    facts.addAll(right.keySet());
    facts.removeIf(fact -> actual(left.get(fact)).equals(actual(right.get(fact))));
    out.printf(
        "%s: %d facts differ; from the capture %d at %s, %d at %s%n",
        each.name(), facts.size(), left.size(), first, right.size(), other);
    for (Fact fact : facts) {
      Mismatch any = left.containsKey(fact) ? left.get(fact) : right.get(fact);
      out.printf("     step %d \"%s\": %s%n", fact.step(), fact.label(), fact.path());
      out.printf("       %-12s %s%n", "captured", any == null ? "" : any.expected());
      out.printf("       %-12s %s%n", first, actual(left.get(fact)));
      out.printf("       %-12s %s%n", other, actual(right.get(fact)));
    }
  }

  private static Map<Fact, Mismatch> mismatches(VmemmapCase one) {
    Map<Fact, Mismatch> found = new LinkedHashMap<>();
    for (Mismatch m : Replay.replay(one).mismatches()) {
      found.put(new Fact(m.step(), m.label(), m.path()), m);
    }
    return found;
  }

  private static String actual(@Nullable Mismatch mismatch) {
    return mismatch == null ? AS_CAPTURED : mismatch.actual();
  }
}
