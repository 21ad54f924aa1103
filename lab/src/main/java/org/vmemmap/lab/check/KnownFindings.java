// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.types.MmConfig;

/**
 * What the faithful port is known to do wrong, because the kernel does: by rule and condition, as
 * narrow as they can be told. docs/FINDINGS.md explains each under its title.
 */
final class KnownFindings {
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
        new Known(NO_ZONE, RuleBook.CRASH, KnownFindings::noZone));
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
}
