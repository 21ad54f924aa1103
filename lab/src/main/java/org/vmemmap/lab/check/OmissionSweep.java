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
import java.util.stream.IntStream;
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
          Omissions.FLUSH_ALL, Omissions.FLUSH_RANGE, Omissions.FLUSH_TABLES, Omissions.WRITE_BARRIER,
          Omissions.WRITE_PROTECT, Omissions.CLEAR, Omissions.COPY, Omissions.ATOMIC_ADD,
          Omissions.ADD_UNLESS, Omissions.CALL_RCU);

  /** The first words of those that have a name for what they work on. */
  private static final Set<String> NAMED =
      Set.of(Omissions.ADD, Omissions.CMPXCHG, Omissions.LOCK, Omissions.UNLOCK);

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
    int space = call.indexOf(' ');
    return PRIMITIVES.contains(call)
        || (space > 0 && NAMED.contains(call.substring(0, space)));
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

  /** Leaves out only those that {@code wanted} accepts; one call that is noticed counts for all. */
  public void runQuickly(Predicate<OmissionPoint> wanted) {
    points.forEach(
        (place, point) -> {
          if (wanted.test(point)) {
            String one = one(place);
            outcomes.put(point, new Outcome(one.equals(SILENT) ? all(place) : one, one));
          }
        });
  }

  /** The subjects that come by. */
  private List<Integer> passing(Place place) {
    return IntStream.range(0, subjects.size())
        .filter(i -> counts.get(i).containsKey(place))
        .boxed()
        .toList();
  }

  private String all(Place place) {
    for (int i : passing(place)) {
      String rule = look(subjects.get(i), () -> call -> isAt(call, place));
      if (!rule.isEmpty()) {
        return rule;
      }
    }
    return SILENT;
  }

  private String one(Place place) {
    for (int i : passing(place)) {
      int count = counts.get(i).getOrDefault(place, 0);
      int tries = Math.min(count, calls);
      for (int tried = 0; tried < tries; tried++) {
        // The last one first: nothing comes behind it to undo it. Then evenly from the first on.
        int n = tried == 0 ? count : 1 + (int) ((tried - 1L) * count / tries);
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

  /**
   * Scenarios that come by all places that the standard ones come by on any world, in an order that finds
   * what is noticed soon.
   */
  public static List<OmissionSubject> standard() {
    List<Scenario> all = new ArrayList<>();
    all.addAll(on("x86-64-5", "page", "replace"));
    all.addAll(on("x86-64-4", "kmem-on-memory", "dimm-node"));
    all.addAll(OmissionScenarios.all());
    all.addAll(on("arm64-64K-48", "kmem-on-memory", "dax", "altmap"));
    all.addAll(on("powerpc-64K-hash", "lmbs", "altmap"));
    all.addAll(on("x86-64-4", "dimm-on-memory", "kmem", "dax"));
    all.addAll(on("powerpc-64K-radix", "far", "lmbs"));
    all.addAll(on("arm64-4K-52", "kmem", "far", "cma"));
    all.addAll(on("x86-64-4", "pool", "far"));
    all.addAll(on("powerpc-4K-radix", "beyond", "altmap"));
    return all.stream().map(OmissionSubject::of).toList();
  }

  /** The same for locks; with {@code few} only those of some of the scenarios. */
  public static List<OmissionSubject> locks(boolean few) {
    List<Scenario> all = new ArrayList<>(on("x86-64-5", "page"));
    all.addAll(OmissionScenarios.all());
    if (!few) {
      all.addAll(on("x86-64-5", "replace"));
      all.addAll(on("powerpc-64K-hash", "lmbs"));
      all.addAll(on("arm64-4K-52", "cma"));
    }
    return all.stream().map(OmissionSubject::locksOf).toList();
  }

  private static List<Scenario> on(String world, String... names) {
    List<Scenario> scenarios = new ArrayList<>();
    for (String name : names) {
      scenarios.addAll(Scenario.standard(name, List.of(World.of(world))));
    }
    return scenarios;
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
