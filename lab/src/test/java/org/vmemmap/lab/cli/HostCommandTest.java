// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** {@code vmemmap boot --host DIR} with folders of facts. */
class HostCommandTest {
  private static Run host(String name, String... more) {
    String[] args = new String[3 + more.length];
    args[0] = "boot";
    args[1] = "--host";
    args[2] = Run.resource("hosts/" + name).toString();
    System.arraycopy(more, 0, args, 3, more.length);
    return Run.of(args);
  }

  /** A host with 2 GiB and 16 hugepages: its numbers, and what HVO would save for those 16. */
  @Test
  void host_oneNode_hasTheSameNumbersAndASaving() {
    Run run = host("small");
    // Expect all seven numbers to be the same, and 7 frames of each hugepage less 3 to be saved.
    assertTrue(run.out().contains("nr_memmap_boot_pages            8192    8192  same"), run.out());
    assertTrue(run.out().contains("7 numbers compared, 0 differ"), run.out());
    assertTrue(
        run.out()
            .contains(
                "2M       16         16  0:16      128     16             1            2  109"),
        run.out());
    assertEquals(Main.OK, run.code());
  }

  /** --cmdline asks for other hugepages than the host has. */
  @Test
  void host_otherHugepagesAskedFor_savesForThose() {
    Run run = host("small", "--cmdline", "hugepages=100");
    // Expect a pool of 100.
    assertTrue(run.out().contains("2M      100        100  0:100"), run.out());
  }

  /**
   * Node 1 lies in the middle of node 0, so the spans of /proc/zoneinfo overlap.
   *
   * <pre>
   *   | node 0  0-1G | node 1  1G-2G | node 0  2G-2.5G |
   * </pre>
   */
  @Test
  void host_nodesInsideEachOther_areToldApartByMemoryBlocks() {
    Run run = host("numa");
    // Expect holes to be missing from present pages of node 0, and an older counter's name to do.
    assertTrue(run.out().contains("nr_memmap_boot_pages           10240   10240  same"), run.out());
    assertTrue(run.out().contains("Node 0, zone DMA32 present    389120  389120  same"), run.out());
    assertTrue(run.out().contains("10 numbers compared, 0 differ"), run.out());
    assertTrue(run.out().contains("HVO saves nothing here: the host has no hugepages."), run.out());
  }

  /** Without root /proc/iomem shows only zeros. */
  @Test
  void host_unprivileged_saysWhichFileNeedsRoot() {
    Run run = host("unprivileged");
    // Expect the file in one line, and exit code 2.
    assertTrue(
        run.err()
            .endsWith(
                "/proc/iomem shows no addresses: it has to be read as root"
                    + System.lineSeparator()),
        run.err());
    assertEquals(Main.BAD_INPUT, run.code());
  }

  /** A host of another architecture is refused by name. */
  @Test
  void host_otherArchitecture_isRefused() {
    Run run = host("foreign");
    // Expect its name.
    assertEquals(
        "vmemmap: --host: this host is aarch64, wanted an x86-64 one" + System.lineSeparator(),
        run.err());
    assertEquals(Main.BAD_INPUT, run.code());
  }
}
