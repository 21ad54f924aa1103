// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.boot.Sizes;

/**
 * Leads failures to the exits of the list, in classes with {@link Probes}, and tells where the list
 * or the sweep is wrong. Of the runs of a sweep those are left out in which the step that fails has
 * no exit ahead that was not reached before.
 */
public final class ExitRuns implements Callable<List<String>> {
  /** Begins a line with two functions, of which one failed after the other. */
  static final String TAKEN = "taken ";

  /** Begins a line with two functions, of which the first saw the other fail. */
  static final String SEEN = "seen ";

  /** Begins a line with a place at which a function failed without another. */
  static final String STATE = "state ";

  /** Begins a line about an exit that is not reached as the list or the sweep says. */
  static final String WRONG = "wrong ";

  /** Scenarios, of which each reaches what none before it does. */
  private static final List<String> PLACES =
      List.of(
          "page on x86-64-4",
          "boot on x86-64-4",
          "replace on x86-64-4",
          "far-part on x86-64-4",
          "far on x86-64-4",
          "altmap on x86-64-4",
          "cma on x86-64-4",
          "dimm on x86-64-4",
          "boot on x86-64-5",
          "far-part on arm64-4K-52",
          "dax on arm64-4K-52",
          "boot on arm64-4K-52",
          "beyond on powerpc-4K-radix",
          "boot on powerpc-4K-radix",
          "altmap on powerpc-4K-radix",
          "boot on powerpc-4K-hash",
          "dax on powerpc-4K-hash");

  private static final String POOL_1G =
      "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages";

  /** Runs on a PC in which nothing is made to fail: memory, command line, steps. */
  private static final List<List<String>> STATES =
      List.of(
          List.of("128M", "hugetlb_cma"),
          List.of("128M", "hugepagesz=1G", "echo 1 > " + POOL_1G),
          List.of(
              "2176M",
              "hugetlb_cma=1G hugetlb_cma_only=1 hugepagesz=1G hugepages=2",
              "echo 2 > " + POOL_1G),
          List.of(
              "128M",
              "hugetlb_free_vmemmap=on memory_hotplug.memmap_on_memory=on",
              "dimm 0x140000000 0x8000000 0",
              "echo online_movable > /sys/devices/system/memory/memory40/state",
              "echo 100 > /proc/sys/vm/nr_hugepages"));

  private static final long MODULE = 0x140000000L;
  private static final long MODULE_SIZE = 128L << 20;
  private static final List<String> MODES = List.of("only", "from");

  private final Exits exits = new Exits();
  private final Set<String> fallible = new LinkedHashSet<>();
  private final Map<String, Set<String>> reached = new TreeMap<>();
  private final Map<String, Set<String>> caused = new TreeMap<>();
  private final Set<String> taken = new TreeSet<>();
  private final Set<String> byState = new TreeSet<>();

  /** Reads the list. */
  public ExitRuns() {
    for (Exits.Exit exit : exits.all()) {
      fallible.add(name(exit.method()));
      fallible.add(exit.callee());
    }
  }

  private Set<String> reached(String mode) {
    return reached.computeIfAbsent(mode, m -> new TreeSet<>());
  }

  private Set<String> caused(String mode) {
    return caused.computeIfAbsent(mode, m -> new TreeSet<>());
  }

  private static String name(String method) {
    return method.substring(method.indexOf('.') + 1);
  }

  /** What was found out, a line for each fact. */
  @Override
  public List<String> call() {
    for (String place : PLACES) {
      String[] words = place.split(" on ", -1);
      Scenario.standard(words[0], List.of(World.of(words[1]))).forEach(this::sweep);
    }
    STATES.forEach(this::state);
    List<String> facts = new ArrayList<>();
    exits.all().forEach(exit -> judge(exit, facts));
    taken.forEach(pair -> facts.add(TAKEN + pair));
    reached.values().forEach(
        pairs -> pairs.stream().filter(pair -> pair.startsWith(SEEN)).forEach(facts::add));
    byState.forEach(line -> facts.add(STATE + line));
    return facts;
  }

  /** Nothing is refused, but the machine cannot do all that it is asked for. */
  private void state(List<String> state) {
    World world = World.of("x86-64-4");
    long mem = Sizes.memparse(state.get(0), 0).value();
    MachineSpec spec =
        world
            .spec(mem, 1, List.of(), List.of(state.get(1).split(" ", -1)))
            .withDeviceMemory(List.of(new Ram(MODULE, MODULE + MODULE_SIZE, 0)));
    List<Step> steps = state.subList(2, state.size()).stream().map(Step::parse).toList();
    Probes.start(fallible);
    Probes.listen();
    new Trial(
            new Scenario("state", "", world, spec, steps, false, true, Selection.NONE),
            Selection.NONE)
        .go();
    byState.addAll(Probes.byState());
    Probes.seen().forEach(pair -> reached("from").add(SEEN + pair));
  }

  private void sweep(Scenario scenario) {
    Set<Integer> sites = sites(scenario);
    if (!sites.isEmpty()) {
      Runs runs = new Runs(scenario, "", (site, selection) -> refused(site, selection, scenario));
      for (int site : sites) {
        run(runs, Selection.only(site));
        run(runs, Selection.from(site));
      }
    }
  }

  /** The steps of the run without a failure that have exits ahead which were not reached yet. */
  private Set<Integer> sites(Scenario scenario) {
    Set<Exits.Exit> wanted = new LinkedHashSet<>();
    for (String mode : MODES) {
      exits.all().stream()
          .filter(exit -> !exit.byState() && exit.reachable(mode))
          .filter(exit -> exits.missing(mode).contains(exit) || !isReached(exit, mode))
          .forEach(wanted::add);
    }
    Set<Integer> sites = new TreeSet<>();
    Trial clean = new Trial(scenario, Selection.NONE);
    int[] count = {0};
    clean.watch(
        site -> {
          count[0]++;
          if (wanted.removeAll(exits.ahead())) {
            sites.add(count[0]);
          }
        });
    clean.go();
    return sites;
  }

  private void refused(String site, Selection selection, Scenario scenario) {
    exits.refused(site, selection.mode(), scenario.name() + " on " + scenario.world().name());
    Probes.listen();
  }

  private void run(Runs runs, Selection selection) {
    Probes.start(fallible);
    runs.run(selection, "");
    Set<String> known = reached(selection.mode());
    Probes.seen().forEach(pair -> known.add(SEEN + pair));
    Probes.taken().forEach(pair -> known.add(TAKEN + pair));
    caused(selection.mode()).addAll(Probes.caused());
    taken.addAll(Probes.taken());
    byState.addAll(Probes.byState());
  }

  private boolean isReached(Exits.Exit exit, String mode) {
    String pair = exit.method() + " after " + exit.callee();
    boolean caused = exit.fails() && caused(mode).contains(pair);
    return exit.callee().isEmpty() || caused
        || reached(mode).contains((exit.fails() ? TAKEN : SEEN) + pair);
  }

  /** What the sweep says of an exit has to be what the code did. */
  private void judge(Exits.Exit exit, List<String> facts) {
    for (String mode : MODES) {
      String pair = (exit.fails() ? TAKEN : SEEN) + exit.method() + " after " + exit.callee();
      if (!exit.reachable(mode) && reached(mode).contains(pair)) {
        facts.add(WRONG + "reached, " + mode + ", against all reason: " + exit.text());
      } else if (exit.reachable(mode) && !exit.byState() && !isReached(exit, mode)) {
        facts.add(WRONG + "not reached, " + mode + ": " + exit.text());
      } else if (exits.missing(mode).contains(exit)) {
        facts.add(WRONG + "reached, " + mode + ", but not said to be: " + exit.text());
      }
    }
  }
}
