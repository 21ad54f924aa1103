// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.pagealloc.Placement;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Zone;
import org.vmemmap.types.ZoneType;

/** Booting a machine. */
class LabKernelTest {
  private static MachineSpec small(String... cmdline) {
    return MachineSpecs.ofSize(256L << 20, 1, List.of(), 4, List.of(cmdline));
  }

  /** The memmap and the zones are final before the page allocator runs. */
  @Test
  void bootEarly_sameMachine_hasTheZonesAndTheMemmapOfAFullBoot() {
    LabKernel early = LabKernel.bootEarly(small());
    LabKernel full = LabKernel.boot(small(), Placement.NONE);
    // Expect 512 pages of memmap for each of two sections, and equal spans.
    assertEquals(1024, early.mm().vmstat().nrMemmapBootPages());
    assertEquals(1024, full.mm().vmstat().nrMemmapBootPages());
    assertEquals(
        early.mm().nodes().nodeData(0).nodeSpannedPages,
        full.mm().nodes().nodeData(0).nodeSpannedPages);
  }

  /**
   * Without RAM at 16 MiB the kernel image goes into the first range that holds it.
   *
   * <pre>
   *   | RAM 640K |      hole      | 1G: image, RAM | 1G+256M
   * </pre>
   */
  @Test
  void boot_noRamAt16Mib_putsTheImageElsewhere() {
    List<String> map =
        List.of("00001000-0009efff : System RAM", "40000000-4fffffff : System RAM");
    LabKernel kernel =
        LabKernel.boot(MachineSpecs.ofText("map", map, List.of(), 4, List.of()), Placement.NONE);
    // Expect the top-level page table above 1 GiB.
    assertTrue(kernel.mm().model().pa(kernel.mm().pgtable().initMmPgd()) > 1L << 30);
  }

  private static LabKernel twoPluggableNodes(String cmdline) {
    List<String> map =
        List.of(
            "00001000-0009efff : System RAM",
            "00100000-5fffffff : System RAM",
            "node 0: 0-3fffffff hotplug",
            "node 1: 40000000-5fffffff hotplug",
            "cmdline: " + cmdline);
    return LabKernel.boot(MachineSpecs.ofText("map", map, List.of(), 4, List.of()), Placement.NONE);
  }

  /**
   * movable_node on two nodes that can both be pulled by their table.
   *
   * <pre>
   *   | node 0: kernel image, so it stays   | node 1: all of it ZONE_MOVABLE |
   *   0                                     1G                               1.5G
   * </pre>
   *
   * Expect nothing of the kernel on node 1: its data and its memmap lie on node 0, and every block of
   * it goes offline.
   */
  @Test
  void boot_movableNode_keepsThePluggableNodeFree() {
    LabKernel kernel = twoPluggableNodes("movable_node kernelcore=512M");
    long first = 0x40000000L >>> 12;
    Zone movable = kernel.mm().nodes().nodeData(1).zone(ZoneType.ZONE_MOVABLE);

    assertEquals(first, movable.zoneStartPfn);
    assertEquals(0x20000, movable.presentPages);
    assertEquals(movable.presentPages, movable.managedPages);
    assertTrue(kernel.mm().nodes().nodeData(0).zone(ZoneType.ZONE_MOVABLE).isEmpty());
    for (int block = 8; block < 12; block++) {
      assertEquals(0, kernel.write("/sys/devices/system/memory/memory" + block + "/state", "offline"));
    }
    assertEquals(0, movable.presentPages);
  }

  /** The same machine without the parameter. Expect the kernel on both nodes, and no Movable. */
  @Test
  void boot_pluggableNodeWithoutMovableNode_isUsed() {
    LabKernel kernel = twoPluggableNodes("quiet");
    Zone normal = kernel.mm().nodes().nodeData(1).zone(ZoneType.ZONE_DMA32);

    assertTrue(kernel.mm().nodes().nodeData(1).zone(ZoneType.ZONE_MOVABLE).isEmpty());
    assertTrue(normal.managedPages < normal.presentPages);
  }

  /** Two sizes of hugepages are there on every machine; writes go to their files. */
  @Test
  void write_filesOfHugetlb_reachThePools() {
    LabKernel kernel = LabKernel.boot(small(), Placement.NONE);
    // Expect the pool to grow, -EINVAL for what is no number, -ENOENT for no file.
    assertEquals(0, kernel.write("/proc/sys/vm/nr_hugepages", "3"));
    assertEquals("3", kernel.read("/proc/sys/vm/nr_hugepages"));
    assertEquals(-Errno.EINVAL, kernel.write("/proc/sys/vm/nr_hugepages", "x"));
    assertEquals(-Errno.ENOENT, kernel.write("/proc/sys/vm/nothing", "1"));
    assertEquals(-Errno.ENOENT, kernel.write("/sys/bus/dax/devices/dax0.0/size", "0"));
    assertNull(kernel.read("/sys/bus/dax/devices/dax0.0/size"));
  }

  /** Numbers for files of device DAX have no unit. Expect what kstrtoull() and kstrtoint() refuse. */
  @ParameterizedTest
  @CsvSource({
    "size, 2M, -22", "size, 0x200000, 0", "size, 0x100000, -22", "size, 18446744073709551616, -34",
    "align, 1G, -22", "align, 2097152, 0",
    "dax_region/create, 4294967297, -34", "dax_region/create, 2, -22", "dax_region/create, 1, -28"
  })
  void write_numbersOfDax_areReadAsTheKernelDoes(String file, String value, int rc) {
    DaxOption whole = new DaxOption(128L << 20, 2L << 20, false, false, 0);
    LabKernel kernel =
        LabKernel.boot(
            MachineSpecs.ofSize(256L << 20, 1, List.of(whole), 4, List.of("quiet")), Placement.NONE);

    assertEquals(rc, kernel.write("/sys/bus/dax/devices/dax0.0/" + file, value));
  }

  /** /proc files of the machine have the kernel's own lines. */
  @Test
  void read_procFiles_haveTheKernelsLines() {
    LabKernel kernel = LabKernel.boot(small("quiet", "hugepages=2"), Placement.NONE);
    // Expect a map of RAM with the padding behind it, counters, and the command line.
    String iomem = String.valueOf(kernel.read("/proc/iomem"));
    assertTrue(iomem.contains("00100000-0ffdffff : System RAM\n"), iomem);
    assertEquals("quiet hugepages=2", kernel.read("/proc/cmdline"));
    assertEquals("8000000", kernel.read("/sys/devices/system/memory/block_size_bytes"));
    assertEquals("0", kernel.read("/sys/devices/system/node/online"));
    String meminfo = String.valueOf(kernel.read("/proc/meminfo"));
    assertTrue(meminfo.contains("HugePages_Total:       2\n"), meminfo);
    String log = String.valueOf(kernel.read("/dev/kmsg"));
    assertTrue(log.startsWith("Command line: quiet hugepages=2\n"), log);
  }

  /** An option that an owner refuses is told as the kernel tells it, and boot goes on. */
  @Test
  void boot_malformedOption_isInTheLog() {
    LabKernel kernel = LabKernel.boot(small("page_poison=perhaps"), Placement.NONE);
    // Expect the kernel's line.
    String log = String.valueOf(kernel.read("/dev/kmsg"));
    assertTrue(log.contains("Malformed early option 'page_poison'\n"), log);
  }

  /**
   * The data of a node lies at its top, so the topmost GiB is no place for a hugepage of that size.
   *
   * <pre>
   *   |  4G  |  5G  |  6G  |  7G  |  8G     x| 9G      x = NODE_DATA(0)
   *                 |<-- hugepages -->|
   * </pre>
   */
  @Test
  void boot_giganticPages_lieBelowTheNodesData() {
    LabKernel kernel =
        LabKernel.boot(
            MachineSpecs.ofSize(8L << 30, 1, List.of(), 4, List.of("hugepagesz=1G", "hugepages=2")),
            Placement.NONE);
    // Expect 6G and 7G, as on the captured machine (hp1g-boot2-8g-off), and the kernel's log line.
    long gib = 1L << 18;
    assertEquals(List.of(true, true, false), heads(kernel, 6 * gib, 7 * gib, 8 * gib));
    String log = String.valueOf(kernel.read("/dev/kmsg"));
    assertTrue(log.contains("NODE_DATA(0) allocated [mem 0x23ffd5680-0x23fffffff]\n"), log);
  }

  /**
   * ZONE_MOVABLE begins at 6.5G, inside the third of four hugepages. Expect that one to be given
   * back, as on the captured machine (x86-64-7.3.4/crosszone-8g-on), without being told where it was.
   *
   * <pre>
   *   |  4G  |  5G  |  6G  |  7G  |  8G     x|
   *   |      Normal    |      Movable        |
   *   | huge | huge |  --  | huge |
   * </pre>
   */
  @Test
  void boot_giganticPageAcrossZones_isTheOneThatIsFreed() {
    List<String> words =
        List.of("movablecore=2560M", "hugetlb_free_vmemmap=on", "hugepagesz=1G", "hugepages=4");
    LabKernel kernel =
        LabKernel.boot(
            MachineSpecs.ofSize(8L << 30, 1, List.of(), 4, words), Placement.NONE);
    // Expect three hugepages and nothing at 6G.
    long gib = 1L << 18;
    assertEquals(
        List.of(true, true, false, true), heads(kernel, 4 * gib, 5 * gib, 6 * gib, 7 * gib));
    assertEquals(
        "3", kernel.read("/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"));
  }

  private static List<Boolean> heads(LabKernel kernel, long... pfns) {
    return Arrays.stream(pfns)
        .mapToObj(pfn -> kernel.mm().flags().pageHead(kernel.mm().model().pfnToPage(pfn)))
        .toList();
  }

  /**
   * A hugepage is to be where the image usually is. Expect the image elsewhere.
   *
   * <pre>
   *   | 16M huge | 18M: image ...
   * </pre>
   */
  @Test
  void boot_hugepageAt16Mib_movesTheImage() {
    Placement at16Mib =
        new Placement() {
          @Override
          public long next(int order, int nid) {
            return -1;
          }

          @Override
          public boolean kept(long startPfn, long endPfn) {
            return startPfn < 4608 && endPfn > 4096;
          }
        };
    LabKernel kernel = LabKernel.boot(small(), at16Mib);
    assertTrue(kernel.mm().model().pa(kernel.mm().pgtable().initMmPgd()) >= 18L << 20);
  }
}
