// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.MemoryRanges.Kind;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.Kstrtox;

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

  /** Begins a line with what a function said after another: {@link Probes#codes}. */
  static final String CODE = "code ";

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
          "cma-run on x86-64-4",
          "demote on x86-64-4",
          "surplus on x86-64-4",
          "dimm-node on x86-64-4",
          "dimm-on-memory on x86-64-4",
          "dimm-pool on x86-64-4",
          "kmem on x86-64-4",
          "kmem-ranges on x86-64-4",
          "lmbs on powerpc-64K-radix",
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

  private static final String BLOCKS = "/sys/devices/system/memory/";
  private static final String DEVICE = "/sys/bus/dax/devices/dax0.0/";

  /** Runs on a PC in which nothing is made to fail: memory, command line, steps. */
  static final List<List<String>> STATES =
      List.of(
          List.of("128M", "hugetlb_cma"),
          List.of(
              "258M", "hugepagesz=1G", "echo 1 > " + POOL_1G,
              "echo offline > " + BLOCKS + "memory1/state"),
          List.of(
              "2176M",
              "hugetlb_cma=1G hugetlb_cma_only=1 hugepagesz=1G hugepages=2",
              "echo 2 > " + POOL_1G,
              "echo 1 > /proc/sys/vm/nr_hugepages",
              "isolate 0x40000 0x40000"),
          List.of("2176M", "hugetlb_cma=1G hugepagesz=1G kernelcore=1536M", "echo 1 > " + POOL_1G),
          List.of(
              "128M",
              "hugetlb_cma=100G hugepagesz hugepagesz=3M hugepages=1 default_hugepagesz=3M"
                  + " default_hugepagesz=2M default_hugepagesz=2M",
              "map 0x200000"),
          List.of(
              "128M",
              "hugepagesz=2M hugepages=x hugepagesz=2M hugepagesz=2M hugepagesz=2M hugepagesz=2M",
              "echo 1 > /proc/sys/vm/nr_hugepages"),
          List.of(
              "128M",
              "hugetlb_free_vmemmap=on memory_hotplug.memmap_on_memory=on",
              "dimm 0x140000000 0x8000000 0",
              "echo online_movable > /sys/devices/system/memory/memory40/state",
              "echo 100 > /proc/sys/vm/nr_hugepages"),
          List.of(
              "160M",
              "memory_hotplug.memmap_on_memory=x memory_hotplug.online_policy=x memhp_default_state=x"
                  + " memory_hotplug.auto_movable_ratio=x memory_hotplug.auto_movable_numa_aware=x"
                  + " hugetlb_free_vmemmap=x hugetlb_cma_only=x",
              "echo x > " + BLOCKS + "auto_online_blocks",
              "echo x > " + BLOCKS + "memory0/state",
              "echo online > " + BLOCKS + "memory0/state",
              "echo offline > " + BLOCKS + "memory0/state",
              "echo offline > " + BLOCKS + "memory1/state",
              "dimm 0x8000000000000 0x8000000 0",
              "dimm 0x180000000 0x8000000 5000",
              "dimm 0x180000000 0x1000 0",
              "dimm 0x180000000 0 0",
              "lmbs 0x180000000 0 0",
              "unlmbs 0x180000000 0",
              "echo 0 > " + DEVICE + "size",
              "echo 200000000-207ffffff > " + DEVICE + "mapping",
              "echo 20c000000-20c1fffff > " + DEVICE + "mapping",
              "kmem 0x200000000 0x8200000 0 no",
              "echo x > " + DEVICE + "state",
              "echo offline > " + DEVICE + "state",
              "echo online > " + DEVICE + "state",
              "echo online_movable > " + BLOCKS + "memory64/state",
              "unkmem 0x200000000",
              "kmem 0x180000000 0x200000 0 no",
              "echo online > /sys/bus/dax/devices/dax1.0/state"));

  private static final long MODULE = 0x140000000L;
  private static final long MODULE_SIZE = 128L << 20;
  private static final long DEVICE_MEMORY = 0x200000000L;
  private static final List<String> MODES = List.of("only", "from");

  private final Exits exits = new Exits();
  private final Set<String> fallible = new LinkedHashSet<>();
  private final Map<String, Set<String>> reached = new TreeMap<>();
  private final Map<String, Set<String>> caused = new TreeMap<>();
  private final Set<String> survived = new TreeSet<>();
  private final Set<String> handingOn = new TreeSet<>();
  private final Set<String> taken = new TreeSet<>();
  private final Set<String> codes = new TreeSet<>();
  private final Set<String> deviations = new TreeSet<>();
  private final Set<String> byState = new TreeSet<>();

  /** Reads the list. */
  public ExitRuns() {
    for (Exits.Exit exit : exits.all()) {
      fallible.add(name(exit.method()));
      fallible.add(exit.callee());
      if (exit.handsOn()) {
        handingOn.add(exit.method());
      }
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
    deviations.forEach(text -> facts.add(WRONG + text));
    codes.forEach(code -> facts.add(CODE + code));
    taken.forEach(pair -> facts.add(TAKEN + pair));
    reached.values().forEach(
        pairs -> pairs.stream().filter(pair -> pair.startsWith(SEEN)).forEach(facts::add));
    byState.forEach(line -> facts.add(STATE + line));
    return facts;
  }

  /** Nothing is refused, but the machine cannot do all that it is asked for. */
  private void state(List<String> state) {
    Trial trial = new Trial(scenario(state), Selection.NONE);
    Probes.start(fallible, handingOn);
    Probes.listen();
    trial.go();
    boolean panics = trial.found().startsWith(RuleBook.PANIC);
    if (trial.deviates() && !trial.deviatesAsKnown() && !panics) {
      deviations.add(state + ": " + trial.found());
    }
    met("from");
  }

  /** A machine with room for a module and for a device. */
  static Scenario scenario(List<String> state) {
    World world = World.of("x86-64-4");
    long mem = Kstrtox.memparse(state.get(0));
    Ram device = new Ram(DEVICE_MEMORY, DEVICE_MEMORY + 2 * MODULE_SIZE, 0);
    MemoryRanges memory =
        world.spec(mem, 1, List.of(), List.of()).memory()
            .with(Kind.SOFT_RESERVED, List.of(device))
            .with(Kind.DEVICE, List.of(new Ram(MODULE, MODULE + MODULE_SIZE, 0)));
    MachineSpec spec = world.spec(memory, List.of(state.get(1).split(" ", -1)));
    List<Step> steps = state.subList(2, state.size()).stream().map(Step::parse).toList();
    return new Scenario("state", "", world, spec, steps, false, true, Selection.NONE);
  }

  /** Keeps what the probes have met. */
  private void met(String mode) {
    Set<String> known = reached(mode);
    Probes.seen().forEach(pair -> known.add(SEEN + pair));
    Probes.taken().forEach(pair -> known.add(TAKEN + pair));
    caused(mode).addAll(Probes.caused());
    survived.addAll(Probes.survived());
    taken.addAll(Probes.taken());
    codes.addAll(Probes.codes());
    byState.addAll(Probes.byState());
  }

  private void sweep(Scenario scenario) {
    Set<Integer> sites = sites(scenario);
    if (!sites.isEmpty()) {
      Runs runs = new Runs(scenario, "", (site, selection) -> refused(site, selection, scenario));
      for (int site : sites) {
        run(scenario, runs, Selection.only(site));
        run(scenario, runs, Selection.from(site));
      }
      boolean steps = !scenario.failBoot();
      if (steps && exits.missing("from").stream().anyMatch(exit -> !exit.reachable("only"))) {
        lastOfEach(runs.clean().sites()).forEach(site -> run(scenario, runs, Selection.from(site)));
      }
    }
  }

  /** Steps at which most has been done that can be taken back, and then not even that succeeds. */
  private static Collection<Integer> lastOfEach(List<String> sites) {
    Map<String, Integer> last = new TreeMap<>();
    for (int i = 0; i < sites.size(); i++) {
      last.put(sites.get(i), i + 1);
    }
    return last.values();
  }

  /**
   * The steps of the run without a failure that have exits ahead which were not reached yet; also the
   * last step of those after which a function may leave in several ways.
   */
  private Set<Integer> sites(Scenario scenario) {
    Set<Exits.Exit> wanted = new LinkedHashSet<>();
    for (String mode : MODES) {
      exits.all().stream()
          .filter(exit -> !exit.byState() && exit.reachable(mode))
          .filter(exit -> exits.missing(mode).contains(exit) || !isReached(exit, mode))
          .forEach(wanted::add);
    }
    Map<Exits.Exit, Integer> last = new HashMap<>();
    wanted.stream().filter(this::hasTwin).forEach(exit -> last.put(exit, 0));
    Set<Integer> sites = new TreeSet<>();
    Trial clean = new Trial(scenario, Selection.NONE);
    int[] count = {0};
    clean.watch(
        site -> {
          count[0]++;
          List<Exits.Exit> ahead = exits.ahead(site);
          if (wanted.removeAll(ahead)) {
            sites.add(count[0]);
          }
          ahead.forEach(exit -> last.computeIfPresent(exit, (any, before) -> count[0]));
        });
    clean.go();
    sites.addAll(last.values());
    sites.remove(0);
    return sites;
  }

  private boolean hasTwin(Exits.Exit exit) {
    return exits.all().stream()
            .filter(each -> each.method().equals(exit.method()) && each.after().equals(exit.after()))
            .count()
        > 1;
  }

  private void refused(String site, Selection selection, Scenario scenario) {
    exits.refused(site, selection.mode(), scenario.name() + " on " + scenario.world().name());
    Probes.listen();
  }

  private void run(Scenario scenario, Runs runs, Selection selection) {
    Probes.start(fallible, handingOn);
    Deviation deviation = runs.run(selection, selection.text()).deviation();
    if (deviation != null && !deviation.known()) {
      deviations.add(scenario.name() + ", " + selection.text() + ": " + deviation.rule() + ", " + deviation.detail());
    }
    met(selection.mode());
  }

  private boolean isReached(Exits.Exit exit, String mode) {
    String pair = exit.method() + " after " + exit.callee();
    if (exit.callee().isEmpty() && !exit.handsOn()) {
      return true;
    } else if (exit.fails()) {
      return caused(mode).contains(pair) || reached(mode).contains(kind(exit) + pair);
    }
    return reached(mode).contains(SEEN + pair) && (exit.dies() || survived.contains(pair));
  }

  private static String kind(Exits.Exit exit) {
    return exit.fails() && !exit.handsOn() ? TAKEN : SEEN;
  }

  /** What the sweep says of an exit has to be what the code did. */
  private void judge(Exits.Exit exit, List<String> facts) {
    for (String mode : MODES) {
      String pair = kind(exit) + exit.method() + " after " + exit.callee();
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
