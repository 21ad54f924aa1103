// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.hotplug;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MachineSpecs;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.lab.observe.Invariants;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Page;

/**
 * A module whose hugepages are in use goes offline.
 *
 * <pre>
 *   0            128M                    4G        4G + 128M
 *   | RAM, some room |                   | module: H H H u H |      H free hugepage, u in use
 * </pre>
 *
 * Its user moves to another hugepage, the free ones are dissolved.
 */
final class OfflineHugepagesTest {
  private static final long MIB = 1L << 20;
  private static final long START = 4096 * MIB;
  private static final long SIZE = 2 * MIB;
  private static final String NR = "/proc/sys/vm/nr_hugepages";
  private static final String STATE = "/sys/devices/system/memory/memory32/state";

  private final LabKernel kernel = boot(1);

  /** Three in use, some free. Expect the users elsewhere, and the block offline. */
  @Test
  void offline_hugepagesInUse_moveAway() {
    plug(kernel, 0);
    kernel.write(NR, "1000");
    List<Long> used = List.of(map(kernel, 0), map(kernel, 7), map(kernel, 13));
    kernel.write(NR, "8");
    assertEquals(0, kernel.write(STATE, "offline"));
    assertEquals("offline", kernel.read(STATE));
    assertQuiet(kernel);
    assertEquals(used.size(), pool("nr_hugepages") - pool("free_hugepages"));
    assertEquals(0, pool("surplus_hugepages"));
    assertEquals(0, kernel.hotplugDrivers().ejectDimm(START));
    assertQuiet(kernel);
  }

  /**
   * A surplus page of the module, which is a node of its own. Expect it on node 0 as surplus, and
   * no surplus left to the node that is gone.
   */
  @Test
  void offline_otherNode_surplusMovesToo() {
    LabKernel two = boot(2);
    plug(two, 1);
    two.write(NR, "1000");
    map(two, 3);
    two.write(NR, "0");
    assertEquals("1", two.read(node(1, "surplus_hugepages")));
    assertEquals(0, two.write(STATE, "offline"));
    assertEquals("1", two.read(node(0, "surplus_hugepages")));
    assertEquals("0", two.read(node(1, "surplus_hugepages")));
    assertQuiet(two);
  }

  /**
   * Somebody holds a page for good, so nothing moves. The kernel tries until a signal comes, here
   * after five rounds. Expect -EINTR, the block online, the page in use, and the lines about it.
   */
  @Test
  void offline_pageHeld_isInterrupted() {
    plug(kernel, 0);
    kernel.write(NR, "1000");
    long pfn = map(kernel, 5);
    kernel.write(NR, "8");
    Page page = kernel.mm().model().pfnToPage(pfn);
    kernel.mm().refs().getPage(page);
    assertEquals(-Errno.EINTR, kernel.write(STATE, "offline"));
    assertEquals("online", kernel.read(STATE));
    assertEquals(2, kernel.mm().refs().pageRefCount(page));
    String log = String.valueOf(kernel.read("/dev/kmsg"));
    assertTrue(log.contains("migrating pfn %x failed ret:1".formatted(pfn)), log);
    assertQuiet(kernel);
    kernel.mm().refs().putPageTestzero(page);
    assertEquals(0, kernel.write(STATE, "offline"));
    assertQuiet(kernel);
  }

  /**
   * No memory to move to, once or for good. Once: expect the next round to succeed. For good: expect
   * -EINTR, since the kernel would go on, and everything in use where it was.
   */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void offline_noMemoryToMove_goesOnUntilInterrupted(boolean from) {
    plug(kernel, 0);
    kernel.write(NR, "1000");
    long pfn = map(kernel, 5);
    kernel.write(NR, "0");
    var faults = kernel.mm().machine().faults();
    if (from) {
      faults.failFrom(1, "alloc_buddy_frozen_folio"::equals);
    } else {
      faults.failNth(1, "alloc_buddy_frozen_folio"::equals);
    }
    assertEquals(from ? -Errno.EINTR : 0, kernel.write(STATE, "offline"));
    assertEquals(from ? "online" : "offline", kernel.read(STATE));
    assertEquals(from ? 1 : 0, kernel.mm().refs().pageRefCount(kernel.mm().model().pfnToPage(pfn)));
    assertQuiet(kernel);
  }

  /** A free hugepage of the module cannot be restored. Expect -ENOMEM, and it stays in the pool. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void offline_dissolveFails_isUndone(boolean from) {
    plug(kernel, 0);
    kernel.write(NR, "1000");
    var faults = kernel.mm().machine().faults();
    if (from) {
      faults.failFrom(1, "alloc_vmemmap_page_list"::equals);
    } else {
      faults.failNth(1, "alloc_vmemmap_page_list"::equals);
    }
    String pool = kernel.read(NR);
    assertEquals(-Errno.ENOMEM, kernel.write(STATE, "offline"));
    assertEquals(pool, kernel.read(NR));
    assertEquals("online", kernel.read(STATE));
    assertQuiet(kernel);
  }

  private static LabKernel boot(int nodes) {
    List<String> cmdline = List.of("hugetlb_free_vmemmap=on");
    long mem = 128 * MIB * nodes;
    List<Ram> module = List.of(new Ram(START, START + 128 * MIB, nodes - 1));
    MachineSpec spec = MachineSpecs.ofSize(mem, nodes, List.of(), 4, cmdline);
    return LabKernel.boot(spec.withMemory(MemoryRanges.Kind.DEVICE, module), Placement.NONE);
  }

  private static void plug(LabKernel kernel, int node) {
    assertEquals(0, kernel.hotplugDrivers().plugDimm(START, 128 * MIB, node));
    assertEquals(0, kernel.write(STATE, "online_movable"));
  }

  /** Maps the module's n-th hugepage. */
  private static long map(LabKernel kernel, long n) {
    long pfn = (START + n * SIZE) >>> 12;
    assertEquals(pfn, kernel.hugetlb().task().mapHugepage(SIZE, pfn));
    return pfn;
  }

  private int pool(String file) {
    String dir = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
    return Integer.parseInt(String.valueOf(kernel.read(dir + file)));
  }

  private static String node(int nid, String file) {
    return "/sys/devices/system/node/node" + nid + "/hugepages/hugepages-2048kB/" + file;
  }

  private static void assertQuiet(LabKernel kernel) {
    assertEquals(List.of(), Invariants.check(kernel).violations());
    assertEquals(List.of(), kernel.mm().printk().warnings());
  }
}
