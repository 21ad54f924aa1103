// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.hugetlb;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.types.Errno;

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
}
