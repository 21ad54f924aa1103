// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.vmemmap.lab.report.Table;
import org.vmemmap.machine.Omissions;

/**
 * Leaves out each call of a primitive, one place after the other, and looks whether a rule notices.
 *
 * <pre>
 *   1. record   which kernel functions call which primitives, and how often
 *   2. leave    all calls of a place, then only one of them
 *   3. look     until one of the subjects that come by the place breaks a rule
 * </pre>
 */
public final class OmissionSweep {
  /** In place of a rule: nothing noticed. */
  public static final String SILENT = "silent";

  private static final Set<String> PRIMITIVES =
      Set.of(
          Omissions.FLUSH_ALL, Omissions.FLUSH_RANGE, Omissions.WRITE_BARRIER,
          Omissions.WRITE_PROTECT, Omissions.CLEAR, Omissions.COPY, Omissions.ATOMIC_ADD);

  private final List<OmissionSubject> subjects;
  private final int calls;
  private final Map<Place, OmissionPoint> points = new LinkedHashMap<>();
  private final Map<OmissionPoint, Outcome> outcomes = new TreeMap<>();
  private final List<Map<Place, Integer>> counts = new ArrayList<>();
  private long runs;

  /** A call of a primitive by a kernel function, with the line of it. */
  private record Place(String primitive, KernelFunction function) {}

  /**
   * What noticed.
   *
   * @param all the rule when all calls of the place are left out, and the subject; or {@link #SILENT}
   * @param one the same for one call only
   */
  public record Outcome(String all, String one) {
    /** True when one of the two went unnoticed. */
    public boolean silent() {
      return all.equals(SILENT) || one.equals(SILENT);
    }

    /** True when both did. */
    public boolean quiet() {
      return all.equals(SILENT) && one.equals(SILENT);
    }
  }

  /**
   * Prepares a sweep.
   *
   * @param calls how many of the calls of a place are left out alone, each in a run of its own, in each
   *     subject, at most; at least 1
   */
  public OmissionSweep(List<OmissionSubject> subjects, int calls) {
    this.subjects = List.copyOf(subjects);
    this.calls = calls;
  }

  private static boolean wanted(String call) {
    return PRIMITIVES.contains(call) || call.startsWith(Omissions.ADD + " ");
  }

  /** Finds all places that {@code file} accepts the kernel file of, in all subjects. */
  public void record(Predicate<String> file) {
    for (OmissionSubject subject : subjects) {
      Map<Place, Integer> count = new LinkedHashMap<>();
      subject.record(
          call -> {
            KernelFunction function = wanted(call) ? KernelFunction.innermost() : null;
            if (function != null && file.test(function.file())) {
              count.merge(new Place(call, function), 1, Integer::sum);
            }
            return false;
          });
      counts.add(count);
    }
    number();
  }

  private void number() {
    Set<Place> all =
        new TreeSet<>(
            Comparator.comparing((Place place) -> place.function().file())
                .thenComparing(place -> place.function().symbol())
                .thenComparing(Place::primitive)
                .thenComparingInt(place -> place.function().line()));
    counts.forEach(count -> all.addAll(count.keySet()));
    Map<String, Integer> numbers = new TreeMap<>();
    for (Place place : all) {
      KernelFunction function = place.function();
      int number = numbers.merge(place.primitive() + " " + function, 1, Integer::sum);
      points.put(
          place,
          new OmissionPoint(place.primitive(), function.symbol(), function.file(), number));
    }
  }

  /** All places. */
  public List<OmissionPoint> points() {
    return points.values().stream().sorted().toList();
  }

  /** Leaves out each place; {@code progress} hears of each. */
  public void run(Consumer<String> progress) {
    points.forEach(
        (place, point) -> {
          progress.accept(point.toString());
          outcomes.put(point, new Outcome(all(place), one(place)));
        });
  }

  private String all(Place place) {
    for (int i = 0; i < subjects.size(); i++) {
      if (counts.get(i).containsKey(place)) {
        String rule = look(subjects.get(i), () -> call -> isAt(call, place));
        if (!rule.isEmpty()) {
          return rule;
        }
      }
    }
    return SILENT;
  }

  private String one(Place place) {
    for (int i = 0; i < subjects.size(); i++) {
      int count = counts.get(i).getOrDefault(place, 0);
      for (int tried = 0; tried < Math.min(count, calls); tried++) {
        // The last one first: nothing comes behind it to undo it. Then evenly from the first on.
        int n = tried == 0 ? count : 1 + (int) ((tried - 1L) * count / calls);
        String rule = look(subjects.get(i), () -> new Nth(place, n));
        if (!rule.isEmpty()) {
          return rule;
        }
      }
    }
    return SILENT;
  }

  private String look(OmissionSubject subject, Supplier<Predicate<String>> dropped) {
    runs++;
    String rule = subject.run(dropped);
    return rule.isEmpty() ? "" : rule + ", " + subject.name();
  }

  private static boolean isAt(String call, Place place) {
    return call.equals(place.primitive()) && place.function().equals(KernelFunction.innermost());
  }

  /** Accepts the n-th call of a place. */
  private static final class Nth implements Predicate<String> {
    private final Place place;
    private final int n;
    private int seen;

    Nth(Place place, int n) {
      this.place = place;
      this.n = n;
    }

    @Override
    public boolean test(String call) {
      return isAt(call, place) && ++seen == n;
    }
  }

  /** The subjects that come by most places, in an order that finds what is noticed soon. */
  public static List<OmissionSubject> standard() {
    List<OmissionSubject> subjects = new ArrayList<>();
    subjects.addAll(on("x86-64-4", "pool", "kmem", "dax", "dimm-on-memory"));
    subjects.addAll(on("arm64-4K-52", "dax", "kmem"));
    subjects.addAll(on("powerpc-64K-radix", "lmbs", "far"));
    return subjects;
  }

  private static List<OmissionSubject> on(String world, String... names) {
    List<OmissionSubject> subjects = new ArrayList<>();
    for (String name : names) {
      Scenario.standard(name, List.of(World.of(world)))
          .forEach(scenario -> subjects.add(OmissionSubject.of(scenario)));
    }
    return subjects;
  }

  /** What came of it, by place. */
  public Map<OmissionPoint, Outcome> outcomes() {
    return new TreeMap<>(outcomes);
  }

  /** The table, and the numbers in the last line. */
  public String text() {
    Table table = new Table("lll", "place and primitive", "all calls", "one call");
    outcomes.forEach((point, outcome) -> table.row(point, outcome.all(), outcome.one()));
    long silent = outcomes.values().stream().filter(Outcome::silent).count();
    return table + "\n" + outcomes.size() + " places, " + runs + " runs, " + silent + " silent";
  }
}
