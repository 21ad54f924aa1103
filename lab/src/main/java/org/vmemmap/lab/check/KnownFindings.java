// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Profile;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.MmConfig;

/**
 * What the faithful port is known to do wrong, because the kernel does: by rule and condition, as
 * narrow as they can be told. docs/FINDINGS.md explains each under its title.
 */
final class KnownFindings {
  private static final String FRAMES_BOOKED = "memmap-frames-booked";

  /** Memory is overwritten: any rule may break. */
  private static final String ANY = "";

  private static final String HALF_ADDED = "Hot-add that fails in a later section keeps the earlier ones";
  private static final String NO_ZONE =
      "Soft-reserved memory behind the last zone names a zone that does not exist";

  private static final String ODD_LEAF =
      "A struct page of an odd size: the memmap of a sub-section begins inside a leaf";

  private static final String PLUGGED = "A DIMM without a resource counts as plugged";
  private static final String SHARED_BLOCK =
      "Two nodes in one pageblock: its type changes under free pages";

  private static final String REGISTERED_BY_NODE =
      "Boot memmap is registered by node: a section of two nodes twice, another perhaps not at all";

  private KnownFindings() {}

  /**
   * A deviation at the moment at which it was found.
   *
   * @param scenario what was run
   * @param kernel its kernel
   * @param step what was done; null for the boot
   * @param rule the rule that is broken
   * @param detail what was found
   * @param failed what was made to fail so far
   */
  record Sight(
      Scenario scenario,
      LabKernel kernel,
      @Nullable Step step,
      String rule,
      String detail,
      List<String> failed) {
    Sight {
      failed = List.copyOf(failed);
    }

    boolean verb(String what) {
      return step != null && step.what().equals(what);
    }

    MachineSpec spec() {
      return scenario.spec();
    }
  }

  private record Known(String title, String rule, Predicate<Sight> condition) {}

  private static List<Known> all() {
    return List.of(
        new Known(HALF_ADDED, RuleBook.FAILED_OPERATION, KnownFindings::halfAdded),
        new Known(ODD_LEAF, ANY, KnownFindings::oddLeaf),
        new Known(PLUGGED, RuleBook.WARNING, KnownFindings::plugged),
        new Known(SHARED_BLOCK, RuleBook.WARNING, KnownFindings::sharedBlock),
        new Known(NO_ZONE, RuleBook.CRASH, KnownFindings::noZone),
        new Known(REGISTERED_BY_NODE, RuleBook.CRASH, KnownFindings::freesOddlyRegistered),
        new Known(REGISTERED_BY_NODE, FRAMES_BOOKED, KnownFindings::oddlyRegistered));
  }

  /** The titles. */
  static List<String> titles() {
    return all().stream().map(Known::title).distinct().toList();
  }

  /** The title of the finding that explains it; empty for none. */
  static String explain(Sight sight) {
    for (Known known : all()) {
      boolean rule = known.rule().equals(ANY) || known.rule().equals(sight.rule());
      if (rule && known.condition().test(sight)) {
        return known.title();
      }
    }
    return "";
  }

  /** Sections are left of a DIMM or device that has more than one. */
  private static boolean halfAdded(Sight sight) {
    return (sight.verb("dimm") || sight.verb("kmem") || sight.verb("bind"))
        && sight.detail().startsWith("-ENOMEM")
        && sight.detail().contains("present sections were");
  }

  /** A device whose first or last struct page lies behind a leaf; no section of it was added whole. */
  private static boolean oddLeaf(Sight sight) {
    LabKernel kernel = sight.kernel();
    if (!kernel.booted() || sight.spec().config().structPageIsPowerOf2() || !touchesDevice(sight)) {
      return false;
    }
    MemmapReader reader = new MemmapReader(kernel.mm());
    int shift = kernel.mm().model().pageShift();
    World.Memory memory = World.Memory.of(sight.spec());
    return Stream.concat(memory.soft().stream(), memory.pmem().stream())
        .anyMatch(
            range ->
                reader.inLargeLeaf(range.start() >>> shift)
                    || reader.inLargeLeaf((range.end() - 1) >>> shift));
  }

  /** True when device DAX has been bound by now. */
  private static boolean touchesDevice(Sight sight) {
    return sight.scenario().steps().stream()
        .takeWhile(step -> !step.equals(sight.step()))
        .anyMatch(step -> step.what().equals("bind"))
        || sight.verb("bind");
  }

  /** A DIMM goes that request_resource() had no memory for when it came. */
  private static boolean plugged(Sight sight) {
    return sight.verb("eject")
        && sight.failed().contains("alloc_resource")
        && sight.detail().contains("remove_memory_block_devices: !mem");
  }

  /** The type is looked at, and one node's struct pages of a block are older than the other's. */
  private static boolean sharedBlock(Sight sight) {
    MmConfig config = sight.spec().config();
    if (!config.debugVm() || !config.deferredStructPageInit()
        || !sight.detail().contains("free_list: page type is MIGRATE_")) {
      return false;
    }
    long block = (long) sight.spec().profile().pageSize() << config.pageblockOrder();
    List<Ram> ram = sight.spec().ram();
    for (int i = 1; i < ram.size(); i++) {
      Ram low = ram.get(i - 1);
      Ram high = ram.get(i);
      if (low.node() != high.node() && (low.end() - 1) / block == high.start() / block) {
        return true;
      }
    }
    return false;
  }

  /** The VM_BUG_ON that would look at the zone is built in, and memory is soft-reserved. */
  private static boolean noZone(Sight sight) {
    return sight.step() == null
        && sight.spec().config().debugVm()
        && !sight.spec().softReserved().isEmpty()
        && sight.detail().contains("no-such-zone");
  }

  private static boolean freesOddlyRegistered(Sight sight) {
    return oddlyRegistered(sight) && sight.detail().contains("free_bootmem_page");
  }

  /** Some section is registered another number of times than once, see BootmemInfo. */
  private static boolean oddlyRegistered(Sight sight) {
    boolean x86 = sight.spec().arch().equals(Profile.X86_64);
    if (!x86 || sight.spec().series().forgetsBootmemInfo()) {
      return false;
    }
    long size = 1L << sight.spec().config().sectionSizeBits();
    Map<Long, Integer> times = new TreeMap<>();
    for (Ram range : sight.spec().ram()) {
      for (long at = range.start() / size; at <= (range.end() - 1) / size; at++) {
        times.put(at, 0);
      }
    }
    // A hole counts as memory of the first node that is online.
    int first = sight.kernel().mm().nodes().online().getFirst().nodeId();
    sight.spec().ram().stream()
        .map(Ram::node)
        .distinct()
        .forEach(node -> register(sight.spec().ram(), node, first, size, times));
    return times.values().stream().anyMatch(n -> n != 1);
  }

  /** register_page_bootmem_info_node(): from the node's first byte in steps of a section. */
  private static void register(
      List<Ram> ram, int node, int first, long size, Map<Long, Integer> times) {
    List<Ram> own = ram.stream().filter(range -> range.node() == node).toList();
    for (long at = own.getFirst().start(); at < own.getLast().end(); at += size) {
      long address = at;
      int nid =
          ram.stream()
              .filter(range -> range.start() <= address && address < range.end())
              .findFirst()
              .map(Ram::node)
              .orElse(first);
      if (nid == node) {
        times.computeIfPresent(at / size, (section, n) -> n + 1);
      }
    }
  }
}
