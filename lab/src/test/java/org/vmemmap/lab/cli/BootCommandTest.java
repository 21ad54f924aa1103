// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code vmemmap boot} from its options to its output. */
class BootCommandTest {
  private static final String[] SMALL = {
    "boot", "--mem", "256M", "--nodes", "1", "--dax", "size=128M"
  };

  private static Run small(String... more) {
    String[] args = java.util.Arrays.copyOf(SMALL, SMALL.length + more.length);
    System.arraycopy(more, 0, args, SMALL.length, more.length);
    return Run.of(args);
  }

  /**
   * The report of a small machine with eight hugepages, to the letter.
   *
   * <pre>
   *   | RAM 256 MiB, 8 hugepages of 2 MiB |  ...  | 1G: dax0.0, 128 MiB |
   * </pre>
   */
  @Test
  void boot_smallMachineWithHvo_printsTheWholeReport() {
    Run run = small("--cmdline", "hugetlb_free_vmemmap=on hugepages=8");
    // Expect 7 of 8 memmap frames of each hugepage to be saved, less the shared tail and tables.
    assertEquals(Run.text("reports/boot-256m.txt"), run.out());
    assertEquals("", run.err());
    assertEquals(Main.OK, run.code());
  }

  /** The same machine as JSON has the same numbers under the documented keys. */
  @Test
  void boot_json_hasTheDocumentedKeys() {
    Run run = small("--cmdline", "hugetlb_free_vmemmap=on hugepages=8", "--json");
    JsonObject report = JsonParser.parseString(run.out()).getAsJsonObject();
    // Expect the cost of eight hugepages, the device, and no violation.
    JsonObject hugepages = report.getAsJsonArray("hugepages").get(0).getAsJsonObject();
    assertEquals(8, hugepages.get("optimized").getAsLong());
    assertEquals(64, hugepages.get("before").getAsLong());
    assertEquals(8, hugepages.get("after").getAsLong());
    assertEquals(1, hugepages.get("sharedTails").getAsLong());
    JsonObject device = report.getAsJsonArray("devices").get(0).getAsJsonObject();
    assertEquals("0x40000000", device.get("start").getAsString());
    assertEquals(0, report.getAsJsonObject("verified").get("violations").getAsLong());
    JsonArray ram = report.getAsJsonObject("machine").getAsJsonArray("ram");
    assertEquals("0x1000", ram.get(0).getAsJsonObject().get("start").getAsString());
  }

  /** With nothing asked for there are hugepages and a device, and the output says so. */
  @Test
  void boot_nothingAskedFor_saysWhatItAdded() {
    Run run = Run.of("boot", "--mem", "256M", "--nodes", "1");
    // Expect an eighth of the memory as hugepages.
    assertTrue(
        run.out().contains("Default   --dax size=2G,align=2M,map=mem,kind=hmem\n"), run.out());
    assertTrue(
        run.out().contains("Default   --cmdline \"hugetlb_free_vmemmap=on hugepages=16\"\n"),
        run.out());
    assertEquals(Main.OK, run.code());
  }

  /** Writes are done in order; the kernel's answer to each is shown. */
  @Test
  void boot_actions_showWhatATerminalShows() {
    Run run =
        small(
            "--do", "echo 1 > /proc/sys/vm/hugetlb_optimize_vmemmap",
            "--do", "echo 4 > /proc/sys/vm/nr_hugepages",
            "--do", "echo many > /proc/sys/vm/nr_hugepages",
            "--do", "cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    // Expect four hugepages, and -EINVAL for what is no number.
    assertTrue(
        run.out()
            .contains(
                """
                  # echo 4 > /proc/sys/vm/nr_hugepages
                  # cat /proc/sys/vm/nr_hugepages
                  4

                  # echo many > /proc/sys/vm/nr_hugepages
                  echo: write error: Invalid argument

                  # cat /sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages
                  4
                """),
        run.out());
  }

  /** More hugepages than memory: the kernel's fewer pages and its message. */
  @Test
  void boot_moreHugepagesThanMemory_getsFewerAndTheKernelsMessage() {
    Run run = small("--cmdline", "hugepages=1000");
    // Expect the message in the log and exit code 0.
    assertTrue(
        run.out().contains("Log       HugeTLB: allocating 1000 of page size 2.00 MiB failed."),
        run.out());
    assertEquals(Main.OK, run.code());
  }

  /** Parameters that the kernel does not know are told as the kernel tells them. */
  @Test
  void boot_unknownParameters_areInTheLog() {
    Run run = small("--cmdline", "quiet foo.bar=1 nosuch=1 alone hugepages=0");
    // Expect words without a value first; known ones and those of modules are left out.
    assertTrue(
        run.out()
            .contains(
                "Log       Unknown kernel command line parameters \"alone nosuch=1\","
                    + " will be passed to user space.\n"),
        run.out());
  }

  /** A device is unbound as an admin does it: its memmap is gone. */
  @Test
  void boot_unbindDevice_takesItsMemmapAway() {
    Run run = small("--do", "echo dax0.0 > /sys/bus/dax/drivers/device_dax/unbind");
    // Expect no device in the report.
    assertTrue(!run.out().contains("Device DAX"), run.out());
    assertTrue(run.out().contains("nr_memmap_pages       0\n"), run.out());
  }

  /** Files of device DAX are read as an admin reads them. */
  @Test
  void boot_readDeviceFiles_showsSizeAndAlign() {
    Run run =
        small(
            "--do", "cat /sys/bus/dax/devices/dax0.0/size",
            "--do", "cat /sys/bus/dax/devices/dax0.0/align",
            "--do", "echo 2097152 > /sys/bus/dax/devices/dax0.0/size");
    // Expect bytes, and -EBUSY for a device that a driver has.
    assertTrue(run.out().contains("dax0.0/size\n  134217728\n"), run.out());
    assertTrue(run.out().contains("dax0.0/align\n  2097152\n"), run.out());
    assertTrue(run.out().contains("echo: write error: Device or resource busy\n"), run.out());
  }

  /** A device of persistent memory is as its namespace has it. */
  @Test
  void boot_writeSizeOfPersistentMemory_isRefused() {
    Run run =
        small(
            "--dax", "size=128M,map=dev",
            "--cmdline", "hugepages=0",
            "--do", "echo 2M > /sys/bus/dax/devices/dax1.0/size");
    // Expect a size that can be read only.
    assertTrue(run.out().contains("echo: write error: Permission denied\n"), run.out());
  }

  /** Persistent memory with its memmap inside, beside soft-reserved memory. */
  @Test
  void boot_memmapInTheDevice_takesPagesOfTheDevice() {
    Run run = small("--dax", "size=128M,map=dev", "--cmdline", "hugepages=0");
    // Expect both devices, and the 512 pages that 128 MiB of struct pages take.
    assertTrue(run.out().contains("dax0.0  0x40000000-0x47ffffff"), run.out());
    assertTrue(run.out().contains("dev (512 of its pages)"), run.out());
  }

  /** A machine from text, and one from a case file. */
  @Test
  void boot_machineFile_bootsThatMachine(@TempDir Path folder) throws IOException {
    Path text = folder.resolve("machine.txt");
    Files.writeString(
        text,
        """
        00001000-0009efff : System RAM
        00100000-0fffffff : System RAM
        node 0: 0-7ffffff
        node 1: 8000000-fffffff
        cmdline: hugepages=2 hugetlb_free_vmemmap=on
        """);
    Run run = Run.of("boot", "--machine", text.toString());
    // Expect two nodes, and one hugepage on each.
    assertTrue(
        run.out().startsWith("Machine   x86-64 4-level, 255.62 MiB RAM on 2 nodes\n"), run.out());
    assertTrue(run.out().contains("0:1 1:1"), run.out());
    assertEquals(Main.OK, run.code());
  }

  /** 5-level page tables have one more table on the way. */
  @Test
  void boot_fiveLevels_hasAP4dTable() {
    Run run = small("--levels", "5", "--cmdline", "hugepages=0");
    // Expect the p4d table in the count.
    assertTrue(run.out().contains("page tables           1 p4d, "), run.out());
  }

  /** The defaults, start to end: a smoke test of size, not of time. */
  @Test
  void boot_defaults_isVerifiedWithoutViolations() {
    Run run = Run.of("boot");
    // Expect HVO to save 7 frames of each of 512 hugepages, and every rule to hold.
    assertTrue(
        run.out().contains("  2M      512        512  0:256 1:256    4096    512"), run.out());
    assertTrue(run.out().endsWith(" rules, 0 violations\n"), run.out());
    assertEquals(Main.OK, run.code());
  }

  /** Help says which files can be written to. */
  @Test
  void boot_help_listsTheFiles() {
    // Expect the sysctl and exit code 0.
    Run run = Run.of("boot", "--help");
    assertTrue(run.out().contains("/proc/sys/vm/nr_hugepages"), run.out());
    assertEquals(Main.OK, run.code());
  }
}
