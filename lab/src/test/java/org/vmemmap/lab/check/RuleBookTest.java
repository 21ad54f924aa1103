// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.lab.observe.MemmapReader;
import org.vmemmap.machine.MachineFault;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;
import org.vmemmap.types.Page;

/** The rules by name. Most are broken by hand in InvariantsTest; the others are here. */
class RuleBookTest {
  private final LabKernel kernel =
      LabKernel.boot(
          MachineSpecs.ofSize(128L << 20, 1, List.of(), 4, List.of("hugetlb_free_vmemmap=on")),
          Placement.NONE);

  private Set<String> broken() {
    return Invariants.check(kernel).violations().stream()
        .map(Invariants.Violation::rule)
        .collect(Collectors.toSet());
  }

  /** Every rule that is checked has an entry, and no entry has an empty part. */
  @Test
  void all_rulesOfAMachineAtRest_areInTheBook() {
    assertEquals(0, kernel.write("/proc/sys/vm/nr_hugepages", "2"));
    Set<String> names = RuleBook.all().stream().map(Rule::name).collect(Collectors.toSet());
    Set<String> checked = new HashSet<>(Invariants.check(kernel).checks().keySet());
    // Expect the same names, and the rules of operations on top.
    assertTrue(names.containsAll(checked), checked::toString);
    names.removeAll(checked);
    // This machine has no CMA areas; CmaRulesTest has. It has no devices and no processes either.
    names.removeAll(Set.of("cma-counts", "cma-bitmap"));
    names.removeAll(
        Set.of("device-memmap-one-predicate", "device-page-pgmap", "memmap-in-every-root",
            "root-of-process-empty"));
    assertEquals(
        Set.of(RuleBook.FAILED_OPERATION, RuleBook.PANIC, RuleBook.CRASH, RuleBook.WARNING,
            RuleBook.STEP, RuleBook.FREE_FIRST, RuleBook.OPTIMISES, RuleBook.READER,
            RuleBook.STALE, RuleBook.ALTMAP, RuleBook.DEADLOCK, RuleBook.LOCKS, RuleBook.READ_ONLY, RuleBook.INITIALISED, RuleBook.BREAK_BEFORE_MAKE),
        names);
    assertThrows(IllegalArgumentException.class, () -> RuleBook.of("no-such-rule"));
  }

  /** A page that is poison is asked for its zone, and a shared tail is written to. Expect the rules. */
  @Test
  void ofFault_poisonAndReadOnly_haveRulesOfTheirOwn() {
    assertEquals(0, kernel.write("/proc/sys/vm/nr_hugepages", "1"));
    Page page = kernel.mm().model().pfnToPage(20000);
    kernel.mm().struct().setFlags(page, -1);
    MachineFault poison =
        assertThrows(MachineFault.class, () -> kernel.mm().inline().pageZone(page));
    assertEquals(RuleBook.INITIALISED, RuleBook.ofFault(poison));

    long hugepage = 0;
    while (kernel.mm().machine().ledger().ownerOf(hugepage) != Owner.HUGEPAGE) {
      hugepage++;
    }
    Page tail = kernel.mm().model().pfnToPage(hugepage + 100);
    MachineFault written =
        assertThrows(MachineFault.class, () -> kernel.mm().struct().setFlags(tail, 0));
    assertEquals(RuleBook.READ_ONLY, RuleBook.ofFault(written));
    MachineFault other = new MachineFault("break-before-make-violated", "va", 0);
    assertEquals(RuleBook.BREAK_BEFORE_MAKE, RuleBook.ofFault(other));
  }

  /** A frame that the cache of a CPU leads to is booked as free. Expect the frame's rule. */
  @Test
  void check_freedFrameInACache_isFound() {
    long pfn = 20000;
    kernel.mm().machine().cpu().readLong(kernel.mm().model().pfnToPage(pfn).va());
    kernel.mm().own(new MemmapReader(kernel.mm()).frame(pfn), 1, Owner.BUDDY);

    assertTrue(broken().contains("tlb-reaches-freed-frame"), () -> broken().toString());
  }

  /** A page-table frame is booked as slab's neighbour: a table more is booked than there is. */
  @Test
  void check_tableBookedThatNobodyMeets_isFound() {
    long pfn = new MemmapReader(kernel.mm()).frame(20000);
    kernel.mm().own(pfn, 1, Owner.PAGE_TABLE);

    // Expect both books to be wrong: tables and memmap.
    assertTrue(broken().contains("page-table-frames"), () -> broken().toString());
  }

  /** A registered page of boot memmap loses its reference. Expect it to be missed. */
  @Test
  void check_registrationWithoutReference_isFound() {
    long frame = new MemmapReader(kernel.mm()).frame(20000);
    Page page = kernel.mm().model().pfnToPage(frame);
    assertTrue(kernel.mm().flags().pageReserved(page));
    kernel.mm().struct().setPriv(page, 1);
    kernel.mm().refs().setPageCount(page, 1);

    assertEquals(Set.of("memmap-references"), broken());
  }

  /** The allocator counts pages that no zone has. Expect the two counts to differ. */
  @Test
  void check_totalramBeyondTheZones_isFound() {
    kernel.pageAlloc().totalramPagesAdd(1);

    assertEquals(Set.of("managed-pages"), broken());
  }

  /**
   * The third page of memmap of a hugepage is taken out of the page table. Expect it to be missed.
   *
   * <pre>
   *   | head | shared tail |   --   | shared tail ... |
   * </pre>
   */
  @Test
  void check_memmapNotMapped_isFound() {
    assertEquals(0, kernel.write("/proc/sys/vm/nr_hugepages", "1"));
    long hugepage = 0;
    while (kernel.mm().machine().ledger().ownerOf(hugepage) != Owner.HUGEPAGE) {
      hugepage++;
    }
    long va = kernel.mm().model().pfnToPage(hugepage).va() + 2 * kernel.mm().model().pageSize();
    long root = kernel.mm().model().pa(kernel.mm().pgtable().initMmPgd());
    long entry = kernel.mm().machine().mmu().walk(root, va).entryPaddr();
    kernel.mm().machine().memory().setLong(entry, 0);

    assertEquals(Set.of("struct-page-mapped", "hugetlb-optimised-flag"), broken());
  }
}
