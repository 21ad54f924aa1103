// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.observe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.hugetlb.HugetlbPageFlag;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.check.Scenario;
import org.vmemmap.lab.check.World;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Mmzone;
import org.vmemmap.types.PageFlags;
import org.vmemmap.types.Series;

/** The rules of pools, devices and processes, each broken by hand on a machine that keeps them. */
class PoolAndDeviceRulesTest {
  private static final long MIB = 1L << 20;
  private static final int COUNTS = 48;
  private static final long ONE_REFERENCE = 1L << 32;

  private final LabKernel kernel = boot();
  private final Mm mm = kernel.mm();
  private final MemmapReader reader = new MemmapReader(mm);

  private static LabKernel boot() {
    DaxOption device = new DaxOption(128 * MIB, 2 * MIB, false, false, 0);
    List<String> cmdline = List.of("hugetlb_free_vmemmap=on", "hugepages=3");
    LabKernel kernel =
        LabKernel.boot(
            MachineSpecs.ofSize(128 * MIB, 1, List.of(device), 4, cmdline), Placement.NONE);
    long start = kernel.spec().softReserved().getFirst().start();
    int rc =
        kernel.dax().bind(
            "dax0.0", DaxBus.Source.HMEM, start, 128 * MIB, 2 * MIB, DaxBus.MapTo.MEM);
    assertEquals(0, rc);
    assertTrue(kernel.newProcessPageTable() != 0);
    return kernel;
  }

  private Set<String> broken() {
    Set<String> rules = new TreeSet<>();
    Invariants.check(kernel).violations().forEach(one -> rules.add(one.rule()));
    return rules;
  }

  private Hstate pool() {
    return kernel.hugetlb().hstates().defaultHstate();
  }

  private long hugepage() {
    return mm.model().pageToPfn(mm.struct().ofLru(mm.lists().first(pool().hugepageFreelists(0))));
  }

  private long device() {
    return kernel.dax().bound().getFirst().dataPfn();
  }

  private void poke(long paddr, long value) {
    mm.machine().memory().setLong(paddr, value);
  }

  private long pte(long va) {
    return mm.machine().mmu().walk(mm.model().pa(mm.pgtable().initMmPgd()), va).entryPaddr();
  }

  /** Nobody touched anything. Expect no violation, and each rule to have been looked at. */
  @Test
  void check_hugepagesDeviceAndProcess_holds() {
    assertEquals(Set.of(), broken());
    assertTrue(
        Invariants.check(kernel).checks().keySet().containsAll(
            Set.of(
                PoolRules.COUNTS, PoolRules.PAGE, PoolRules.ZONE, PoolRules.OPTIMISED,
                DeviceRules.PREDICATE, DeviceRules.PGMAP, RootRules.REACH, BuddyRules.ONLINE)));
  }

  /** One free page more is counted than is on the list, then one promise. Expect the counts. */
  @Test
  void check_counterOfAPool_isFound() {
    pool().freeHugePages++;
    assertEquals(Set.of(PoolRules.COUNTS), broken());
    pool().freeHugePages--;
    pool().resvHugePages++;
    assertEquals(Set.of(PoolRules.COUNTS), broken());
    pool().resvHugePages--;
    pool().surplusHugePagesNode[0]--;
    assertEquals(Set.of(PoolRules.COUNTS), broken());
  }

  /** A free page of the pool has a reference. Expect the page. */
  @Test
  void check_referenceToAFreePage_isFound() {
    long counts = reader.paddr(reader.address(hugepage()) + COUNTS);
    poke(counts, mm.machine().memory().getLong(counts) + ONE_REFERENCE);
    assertEquals(Set.of(PoolRules.PAGE), broken());
  }

  /**
   * The zone ends in the middle of a hugepage.
   *
   * <pre>
   *   zone  | ...          |
   *   page         | hugepage    |
   * </pre>
   */
  @Test
  void check_hugepageAcrossTheEndOfItsZone_isFound() {
    var zone = mm.inline().pageZone(mm.model().pfnToPage(hugepage()));
    zone.spannedPages = hugepage() + 1 - zone.zoneStartPfn;
    assertTrue(broken().contains(PoolRules.ZONE), () -> broken().toString());
  }

  /** An optimised page has lost its flag. Expect it. */
  @Test
  void check_flagLost_isFound() {
    Folio folio = new Folio(mm.model().pfnToPage(hugepage()));
    kernel.hugetlb().folios().clear(folio, HugetlbPageFlag.HPG_VMEMMAP_OPTIMIZED);
    assertEquals(Set.of(PoolRules.OPTIMISED), broken());
  }

  /** A tail of a device's compound page gets the frame of the next compound page. Expect it. */
  @Test
  void check_frameMoreForADevice_isFound() {
    long third = reader.address(device()) + 2 * mm.model().pageSize();
    long next = reader.address(device() + 512);
    poke(pte(third), mm.machine().memory().getLong(pte(next)));
    assertTrue(broken().contains(DeviceRules.PREDICATE), () -> broken().toString());
  }

  /** The last struct page of its own that a compound page has is in no zone of devices. */
  @Test
  void check_structPageNotInitialised_isFound() {
    poke(reader.paddr(reader.address(device() + 127)), 0);
    assertTrue(broken().contains(DeviceRules.PREDICATE), () -> broken().toString());
  }

  /**
   * One of a device's struct pages among others that are all alike.
   *
   * <pre>
   *   struct pages   | head tail ... | tail ... 100 ... tail |
   *   memmap         |     page      |         page          |
   * </pre>
   *
   * Expect its pfn where it names the wrong node, the wrong head, or no head and has a flag.
   */
  @ParameterizedTest
  @CsvSource({
    "struct-page-node-zone, 0, 0x40000000000000",
    "struct-page-compound, 8, 0x1000",
    "device-page-flags, 8, 0x1"
  })
  void check_oneOfManyAlike_namesThePfn(String rule, int offset, String change) {
    long pfn = device() + 100;
    long at = reader.paddr(reader.address(pfn));
    mm.machine().memory().setLong(at, mm.machine().memory().getLong(at) | 1L << PageFlags.PG_DIRTY);
    poke(at + offset, mm.machine().memory().getLong(at + offset) ^ Long.decode(change));
    List<String> named =
        Invariants.check(kernel).violations().stream()
            .filter(v -> v.number() == pfn)
            .map(Invariants.Violation::rule)
            .toList();
    assertTrue(named.contains(rule), named::toString);
  }

  /** A device begins in the section that RAM ends in, and a tail there is in no zone of devices. */
  @Test
  void check_tailInABootSectionNotInitialised_isFound() {
    LabKernel other =
        Scenario.standard("beside-ram", List.of(World.of("x86-64-4"))).getFirst()
            .run(Series.at(Series.LAST), each -> {});
    assertEquals(List.of(), Invariants.check(other).violations());
    MemmapReader memmap = new MemmapReader(other.mm());
    long tail = other.dax().bound().getFirst().dataPfn() + 511;
    other.mm().machine().memory().setLong(memmap.paddr(memmap.address(tail)), 0);
    assertEquals(
        DeviceRules.PREDICATE, Invariants.check(other).violations().getFirst().rule());
  }

  /** The first page of a device names another pgmap. Expect it. */
  @Test
  void check_otherPgmap_isFound() {
    poke(reader.paddr(reader.address(device()) + 8), 0x1000);
    assertEquals(Set.of(DeviceRules.PGMAP), broken());
  }

  /** The memmap is missing in the page table of a process. Expect it. */
  @Test
  void check_rootWithoutTheMemmap_isFound() {
    int top = mm.machine().format().levels() - 1;
    long root = mm.model().pa(kernel.processPageTables().getFirst());
    poke(root + 8L * mm.machine().format().index(mm.model().vmemmapBase(), top), 0);
    assertEquals(Set.of(RootRules.REACH), broken());
  }

  /** The last section of RAM is offline although pages of it are free. Expect them. */
  @Test
  void check_freePagesOfAnOfflineSection_areFound() {
    mm.mmzone().section(0).sectionMemMap &= ~Mmzone.SECTION_IS_ONLINE;
    assertTrue(broken().contains(BuddyRules.ONLINE), () -> broken().toString());
  }
}
