// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.mockito.Mockito.spy;
import static org.mockito.Mockito.when;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Folio;
import org.vmemmap.types.Owner;
import org.vmemmap.types.Page;

/** The files in /proc/sys/vm and /sys. */
final class HugetlbSysfsTest {
  private static final String DIR = "/sys/kernel/mm/hugepages/hugepages-2048kB/";
  private static final String NODE_DIR =
      "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/";

  private final PoolMachine pool = PoolMachine.twoNodes().boot();
  private final HugetlbSysfs sysfs = pool.system.sysfs();

  /** Four pages through the file of the size. Expect all files to tell of them. */
  @Test
  void write_sizeFile_showsInAllFiles() {
    assertEquals(0, sysfs.write(DIR + "nr_hugepages", "4\n"));
    assertEquals("4", sysfs.read(DIR + "nr_hugepages"));
    assertEquals("4", sysfs.read(DIR + "free_hugepages"));
    assertEquals("0", sysfs.read(DIR + "surplus_hugepages"));
    assertEquals("0", sysfs.read(DIR + "resv_hugepages"));
    assertEquals("4", sysfs.read(PoolMachine.NR_HUGEPAGES));
    assertEquals("2", sysfs.read(NODE_DIR + "nr_hugepages"));
    assertEquals("2", sysfs.read(NODE_DIR + "free_hugepages"));
    assertEquals("0", sysfs.read(NODE_DIR + "surplus_hugepages"));
  }

  /** Three pages through the file of node 1. Expect them there. */
  @Test
  void write_nodeFile_changesTheNode() {
    assertEquals(0, sysfs.write(NODE_DIR + "nr_hugepages", "3"));
    assertEquals("3", sysfs.read(NODE_DIR + "nr_hugepages"));
    assertEquals("3", sysfs.read(DIR + "nr_hugepages"));
  }

  /** The limit for surplus pages through both files. Expect what was written last. */
  @Test
  void write_overcommit_isKept() {
    assertEquals(0, sysfs.write(DIR + "nr_overcommit_hugepages", "3"));
    assertEquals("3", sysfs.read("/proc/sys/vm/nr_overcommit_hugepages"));
    assertEquals(0, sysfs.write("/proc/sys/vm/nr_overcommit_hugepages", "5"));
    assertEquals("5", sysfs.read(DIR + "nr_overcommit_hugepages"));
    assertEquals(-Errno.EINVAL, sysfs.write("/proc/sys/vm/nr_overcommit_hugepages", "-1"));
    assertEquals(-Errno.EINVAL, sysfs.write(DIR + "nr_overcommit_hugepages", "x"));
  }

  /** The switch. Expect 0 and 1 to be read back, and a word to be refused. */
  @Test
  void write_switch_isReadBack() {
    String path = "/proc/sys/vm/hugetlb_optimize_vmemmap";
    assertEquals("0", sysfs.read(path));
    assertEquals(0, sysfs.write(path, "1"));
    assertEquals("1", sysfs.read(path));
    assertEquals(-Errno.EINVAL, sysfs.write(path, "on"));
  }

  /** Bad numbers, files that cannot be written, unknown paths. Expect the kernel's codes. */
  @ParameterizedTest
  @CsvSource({
    "/proc/sys/vm/nr_hugepages, many, -22",
    "/proc/sys/vm/nr_hugepages, -1, -22",
    "/proc/sys/vm/nr_hugepages, '', 0",
    "/proc/sys/vm/nr_hugefiles, 1, -2",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, 0x10, -22",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, 18446744073709551616, -34",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages, '', 0",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages, 1, -13",
    "/sys/kernel/mm/hugepages/hugepages-4kB/nr_hugepages, 1, -2",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/colour, 1, -2",
    "/sys/devices/system/node/node7/hugepages/hugepages-2048kB/nr_hugepages, 1, -2",
    "/sys/devices/system/node/node1/hugepages/hugepages-2048kB/resv_hugepages, 1, -2"
  })
  void write_badRequest_hasTheKernelsCode(String path, String value, int rc) {
    assertEquals(rc, sysfs.write(path, value));
  }

  /** Paths that do not exist. Expect null. */
  @Test
  void read_unknownPath_isNull() {
    assertNull(sysfs.read("/proc/sys/vm/swappiness"));
    assertNull(sysfs.read(NODE_DIR + "nr_overcommit_hugepages"));
    assertNull(sysfs.read("/sys/kernel/mm/hugepages/hugepages-64kB/nr_hugepages"));
  }

  /** A CPU without hugepages. Expect no file at all. */
  @Test
  void read_noHugepages_isNull() {
    PoolMachine none =
        new PoolMachine(
                PoolMachine.config(),
                HugetlbArch.of(0),
                new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .cmdline("hugepages=1")
            .boot();
    assertNull(none.system.sysfs().read(PoolMachine.NR_HUGEPAGES));
    assertEquals(-Errno.ENOENT, none.system.sysfs().write(PoolMachine.NR_HUGEPAGES, "1"));
  }

  /** A second of two pages is promised, and one in use is surplus. Expect the files to say so. */
  @Test
  void read_promisesAndSurplus_areShown() {
    assertEquals(0, sysfs.write(DIR + "nr_hugepages", "3"));
    assertEquals(0, pool.system.reserve().hugetlbAcctMemory(pool.h2m(), 1));
    assertEquals("1", sysfs.read(DIR + "resv_hugepages"));
    long pfn = pool.system.task().mapHugepage(PoolMachine.SIZE_2M, pool.freePfns(1).getFirst());
    assertTrue(pfn > 0);
    assertEquals(0, sysfs.write(DIR + "nr_hugepages", "0"));
    assertEquals("2", sysfs.read(DIR + "nr_hugepages"));
    assertEquals("2", sysfs.read(DIR + "nr_hugepages_mempolicy"));
    assertEquals("2", sysfs.read(DIR + "surplus_hugepages"));
    assertEquals("1", sysfs.read(DIR + "free_hugepages"));
    assertEquals("0", sysfs.read(PoolMachine.NR_HUGEPAGES));
    assertEquals("0", sysfs.read("/proc/sys/vm/nr_hugepages_mempolicy"));
    assertEquals("1", sysfs.read(NODE_DIR + "nr_hugepages"));
    assertEquals("1", sysfs.read(NODE_DIR + "surplus_hugepages"));
    assertEquals("0", sysfs.read(NODE_DIR + "free_hugepages"));
  }

  /** Gigantic pages that can be had at boot only. Expect no limit for surplus ones to be taken. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "/proc/sys/vm/nr_overcommit_hugepages",
        "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_overcommit_hugepages"
      })
  void write_overcommitOfSizeForBootOnly_isInvalid(String file) {
    HugetlbArch arch = spy(PoolMachine.sizes());
    when(arch.giganticPageRuntimeSupported()).thenReturn(false);
    PoolMachine fixed =
        new PoolMachine(
                PoolMachine.config(), arch, new PoolMachine.Ram(0, 256 * PoolMachine.MIB, 0))
            .cmdline("default_hugepagesz=1G")
            .boot();
    assertEquals(-Errno.EINVAL, fixed.system.sysfs().write(file, "1"));
    assertEquals("0", fixed.system.sysfs().read(file));
  }

  /** The files for a memory policy. Expect them to do what the plain ones do. */
  @Test
  void write_mempolicyFiles_changeThePool() {
    assertEquals(0, sysfs.write(DIR + "nr_hugepages_mempolicy", "3"));
    assertEquals("3", sysfs.read(DIR + "nr_hugepages_mempolicy"));
    assertEquals(0, sysfs.write("/proc/sys/vm/nr_hugepages_mempolicy", "2"));
    assertEquals("2", sysfs.read("/proc/sys/vm/nr_hugepages_mempolicy"));
    assertEquals(2, pool.h2m().nrHugePages);
  }

  /** Writes of no bytes. Expect 0 and no change, for each file that can be written. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "hugepages-1048576kB/nr_hugepages",
        "hugepages-1048576kB/nr_hugepages_mempolicy",
        "hugepages-1048576kB/nr_overcommit_hugepages",
        "hugepages-1048576kB/demote",
        "hugepages-1048576kB/demote_size"
      })
  void write_noBytes_doesNothing(String file) {
    assertEquals(0, sysfs.write("/sys/kernel/mm/hugepages/" + file, ""));
  }

  /** The demote files exist for the size that has a smaller one only, and on its nodes. */
  @Test
  void demoteFiles_existWhereThereIsASmallerSize() {
    String gigantic = "/sys/kernel/mm/hugepages/hugepages-1048576kB/";
    String node = "/sys/devices/system/node/node1/hugepages/hugepages-1048576kB/";
    assertEquals("2048kB", sysfs.read(gigantic + "demote_size"));
    assertEquals("2048kB", sysfs.read(node + "demote_size"));
    assertEquals(0, sysfs.write(node + "demote", "0"));
    assertEquals(0, sysfs.write(gigantic + "demote_size", "2M"));
    assertNull(sysfs.read(gigantic + "demote"));
    assertNull(sysfs.read(DIR + "demote_size"));
    assertEquals(-Errno.ENOENT, sysfs.write(DIR + "demote_size", "2M"));
    assertEquals(-Errno.ENOENT, sysfs.write(DIR + "demote", "1"));
    assertEquals(-Errno.ENOENT, sysfs.write(node + "colour", "1"));
  }

  /** A bad number for the limit, in both files. Expect the code, and the limit as it was. */
  @Test
  void write_overcommitBadNumber_keepsTheLimit() {
    assertEquals(0, sysfs.write(DIR + "nr_overcommit_hugepages", "3"));
    assertEquals(
        -Errno.ERANGE, sysfs.write(DIR + "nr_overcommit_hugepages", "18446744073709551616"));
    assertEquals(-Errno.EINVAL, sysfs.write("/proc/sys/vm/nr_overcommit_hugepages", "many"));
    assertEquals("3", sysfs.read(DIR + "nr_overcommit_hugepages"));
  }

  /** A write leaves work to the worker: it shrinks while the page comes back. Expect it done. */
  @Test
  void write_anyFile_letsTheWorkerRun() {
    PoolMachine optimizing = PoolMachine.optimizing();
    optimizing.h2m().nrOvercommitHugePages = 1;
    HugetlbReserve reserve = optimizing.system.reserve();
    Page page = reserve.hugetlbAllocFolio(optimizing.h2m(), 0, 0);
    assertFalse(page.isErr());
    optimizing.mm.refs().putPageTestzero(page);
    optimizing.hugetlb.freeHugeFolio(new Folio(page));
    assertEquals(512, optimizing.owned(Owner.HUGEPAGE));
    assertEquals(0, optimizing.system.sysfs().write(DIR + "nr_overcommit_hugepages", "1"));
    assertEquals(0, optimizing.owned(Owner.HUGEPAGE));
  }
}
