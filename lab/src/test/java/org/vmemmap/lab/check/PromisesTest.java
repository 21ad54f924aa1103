// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.vmemmap.hugetlb.Hstate;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Errno;

/** What steps promise, each broken by hand, and kept where it looks as if it were not. */
class PromisesTest {
  private static final String POOL = "/proc/sys/vm/nr_hugepages";
  private static final String OPTIMIZE = "/proc/sys/vm/hugetlb_optimize_vmemmap";
  private static final String NODES = "/sys/devices/system/node/node";
  private static final String OF_NODE = "/hugepages/hugepages-2048kB/nr_hugepages";
  private static final long MIB = 1L << 20;
  private static final String BROKEN =
      "free-hugepages-go-first, hugepages-2048kB: 1 pages became surplus, and %d that were free stay";

  private LabKernel kernel = boot();

  private static LabKernel boot(String... cmdline) {
    return LabKernel.boot(
        MachineSpecs.ofSize(256 * MIB, 2, List.of(), 4, List.of(cmdline)), Placement.NONE);
  }

  private Hstate pool() {
    return kernel.hugetlb().hstates().defaultHstate();
  }

  /** What is broken when {@code done} happens in the place of a step that returns {@code rc}. */
  private List<String> broken(Step step, int rc, Runnable done) {
    return broken(step, rc, false, done);
  }

  private List<String> broken(Step step, int rc, boolean failed, Runnable done) {
    Promises promises = new Promises(kernel, step);
    done.run();
    List<String> broken = new ArrayList<>();
    promises.kept(rc, failed, (rule, found) -> broken.add(rule + ", " + found));
    return broken;
  }

  /** A page of node 0 is declared surplus, whatever else there is. */
  private void declareSurplus() {
    pool().surplusHugePages++;
    pool().surplusHugePagesNode[0]++;
  }

  private void fillPool(int pages) {
    assertEquals(0, kernel.write(POOL, Integer.toString(pages)));
    assertEquals(pages, pool().freeHugePages);
  }

  /**
   * A pool shrinks, and a page becomes surplus while two are free.
   *
   * <pre>
   *   node 0   | free | free |  ->  | free, surplus | free |
   * </pre>
   */
  @Test
  void resize_freePageBecomesSurplus_isFound() {
    fillPool(2);
    assertEquals(List.of(BROKEN.formatted(1)), broken(Step.pool(0), 0, this::declareSurplus));
  }

  /** The write fails, or is one to another file. Expect nothing to be promised. */
  @Test
  void resize_failsOrIsNone_promisesNothing() {
    fillPool(2);
    assertEquals(List.of(), broken(Step.pool(0), -Errno.ENOMEM, this::declareSurplus));
    Step other = Step.write("/proc/sys/vm/nr_overcommit_hugepages", "1");
    assertEquals(List.of(), broken(other, 0, this::declareSurplus));
  }

  /** Of two free pages one is promised, then both are. Expect the other to be told, then none. */
  @Test
  void resize_promisedPages_mayStay() {
    fillPool(2);
    pool().resvHugePages = 1;
    assertEquals(List.of(BROKEN.formatted(1)), broken(Step.pool(0), 0, this::declareSurplus));
    pool().surplusHugePages = 0;
    pool().surplusHugePagesNode[0] = 0;
    pool().resvHugePages = 2;
    assertEquals(List.of(), broken(Step.pool(0), 0, this::declareSurplus));
  }

  /** More pages are free than are persistent, from before. Expect the kernel to be let keep them. */
  @Test
  void resize_freePagesWereSurplusBefore_mayStay() {
    fillPool(2);
    declareSurplus();
    assertEquals(List.of(), broken(Step.pool(0), 0, this::declareSurplus));
  }

  /** The memmap of the free pages is optimised: a restore may have failed. Expect no report. */
  @Test
  void resize_optimisedPages_mayStay() {
    assertEquals(0, kernel.write(OPTIMIZE, "1"));
    fillPool(2);
    assertEquals(List.of(), broken(Step.pool(0), 0, this::declareSurplus));
  }

  /** All free pages are of node 1, and the write is about node 0, then about node 1. */
  @Test
  void resize_ofANode_isAboutItsPages() {
    assertEquals(0, kernel.write(NODES + 1 + OF_NODE, "2"));
    assertEquals(2, pool().freeHugePagesNode[1]);
    assertEquals(
        List.of(), broken(Step.write(NODES + 0 + OF_NODE, "0"), 0, this::declareSurplus));
    pool().surplusHugePages = 0;
    pool().surplusHugePagesNode[0] = 0;
    assertEquals(
        List.of(BROKEN.formatted(1)),
        broken(Step.write(NODES + 1 + OF_NODE, "0"), 0, this::declareSurplus));
  }

  /** The kernel shrinks a pool with a page in use on the other node. Expect the promise to be kept. */
  @Test
  void resize_asTheKernelDoesIt_isKept() {
    Scenario shrink = Scenario.standard("surplus-shrink", List.of(World.of("x86-64-4"))).getFirst();
    assertEquals("ok", Trial.run(shrink, Selection.NONE, "again").outcome());
  }

  /**
   * Two pages join the pool with HVO on, as they are and as if HVO were off. Expect only the latter
   * to be told, unless something failed, or there was no memory to spare.
   */
  @Test
  void resize_pagesAreNotOptimised_isFound() {
    assertEquals(0, kernel.write(OPTIMIZE, "1"));
    assertEquals(List.of(), broken(Step.pool(2), 0, () -> fillPool(2)));
    fillPool(0);
    assertEquals(
        List.of("hugetlb-optimises, hugepages-2048kB: 2 new pages have a memmap of their own"),
        broken(Step.pool(2), 0, this::fillUnoptimised));
    assertEquals(List.of(), broken(Step.pool(2), 0, true, this::fillUnoptimised));
    assertEquals(List.of(), broken(Step.pool(50), 0, this::fillUnoptimised));
  }

  /**
   * Ten pages join the pool where most memory is movable, which memmap cannot be taken from.
   *
   * <pre>
   *   node 0   | kernel: 32 MiB | movable: 96 MiB |      memory to spare: 44 MiB
   * </pre>
   *
   * Expect nothing to be promised; where all memory is the kernel's, it is.
   */
  @Test
  void resize_memoryToSpareIsMovable_promisesNothing() {
    assertEquals(0, kernel.write(OPTIMIZE, "1"));
    assertEquals(1, broken(Step.pool(10), 0, this::fillUnoptimised).size());
    kernel = boot("kernelcore=64M", "hugetlb_free_vmemmap=on");
    assertEquals(List.of(), broken(Step.pool(10), 0, this::fillUnoptimised));
  }

  private void fillUnoptimised() {
    fillPool(0);
    assertEquals(0, kernel.write(OPTIMIZE, "0"));
    fillPool(2);
    assertEquals(0, kernel.write(OPTIMIZE, "1"));
  }

  /** Boot with HVO, then the same pool as if HVO had been off. Expect only the latter to be told. */
  @Test
  void booted_pagesAreNotOptimised_isFound() {
    assertEquals(0, kernel.write(OPTIMIZE, "1"));
    fillPool(2);
    List<String> broken = new ArrayList<>();
    Promises.booted(kernel, (rule, found) -> broken.add(rule));
    assertEquals(List.of(), broken);
    fillUnoptimised();
    Promises.booted(kernel, (rule, found) -> broken.add(rule));
    assertEquals(List.of(RuleBook.OPTIMISES), broken);
  }

  /** A module raises max_pfn: as what a module may do, and as what a device must not on x86. */
  @Test
  void maxPfn_raisedByABind_isFoundOnX86() {
    Scenario dimm = Scenario.standard("dimm", List.of(World.of("x86-64-4"))).getFirst();
    for (String verb : List.of("dimm", "bind")) {
      LabKernel pc = LabKernel.boot(dimm.spec(), Placement.NONE);
      Step plug = dimm.steps().getFirst();
      Promises promises = new Promises(pc, new Step(verb, plug.value()));
      assertEquals(0, new Workbench(pc).run(plug));
      List<String> broken = new ArrayList<>();
      promises.kept(0, false, (rule, found) -> broken.add(rule));
      assertEquals(verb.equals("bind") ? List.of(RuleBook.MAX_PFN) : List.of(), broken);
    }
  }

  /** A device behind RAM is bound. Expect max_pfn to stay on x86, and to rise on arm64. */
  @Test
  void maxPfn_deviceIsBound_risesWhereItCounts() {
    for (String world : List.of("x86-64-4", "arm64-4K-48")) {
      Scenario dax = Scenario.standard("dax", List.of(World.of(world))).getFirst();
      LabKernel machine = LabKernel.boot(dax.spec(), Placement.NONE);
      long before = machine.maxPfn();
      Step bind = dax.steps().getFirst();
      Promises promises = new Promises(machine, bind);
      assertEquals(0, new Workbench(machine).run(bind));
      promises.kept(0, false, (rule, found) -> assertEquals("", rule + found));
      assertEquals(world.startsWith("arm64"), machine.maxPfn() > before);
      assertTrue(machine.maxPfn() >= before);
    }
  }
}
