// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The series on the command line. */
class SeriesCommandTest {
  /** The list. Expect a patch by its subject, what is measured of it, and a later fix. */
  @Test
  void series_list_namesPatchesAndFixes() {
    Run run = Run.of("series");
    assertEquals(0, run.code(), run.err());
    assertTrue(
        run.out().contains("mm/sparse: fix vmemmap page accounting for HVOed DAX"), run.out());
    assertTrue(
        run.out().contains("device of 1G in pages of 2M: nr_memmap_pages 4096 -> 1024\n"),
        run.out());
    assertTrue(run.out().contains("no-bootmem-info               in 7.3\n"), run.out());
    assertTrue(run.out().contains("no-sparse-buffer              in 7.2, 7.3\n"), run.out());
    assertTrue(run.out().contains("\n13   mm: Remove the branch from compound_head()\n"), run.out());
  }

  /**
   * One patch. Expect its places in the port, the question that is asked for it and the rule that it
   * breaks; and one line for a number that is none.
   */
  @Test
  void series_show_tellsAboutOnePatch() {
    Run run = Run.of("series", "show", "9");
    assertTrue(run.out().contains("java        Sparse.sparseInitNid()\n"), run.out());
    assertTrue(run.out().contains("-> panic: Failed to allocate memmap for section 2\n"));
    Run dax = Run.of("series", "show", "34");
    assertTrue(dax.out().contains("asked by    Series.sharesDaxTails()\n"), dax.out());
    assertTrue(dax.out().contains("breaks      shared-tail-read-only at levels 34 to 37 on x86-64"));
    assertTrue(dax.out().lines().allMatch(line -> line.length() <= 100), dax.out());
    assertEquals(2, Run.of("series", "show", "50").code());
    assertEquals(2, Run.of("series", "shew", "5").code());
  }

  /** A step of the series underneath. Expect what it left; and one line for a step that is none. */
  @Test
  void series_showUnderneath_tellsAboutOneStep() {
    Run run = Run.of("series", "show", "underneath", "13");
    assertTrue(run.out().startsWith("13  mm: Remove the branch from compound_head()\n"), run.out());
    assertTrue(run.out().contains("java        PageFlags.compoundHead()\n"), run.out());
    assertEquals(2, Run.of("series", "show", "underneath", "15").code());
  }

  /**
   * The form of the fourth posting on a machine whose hugepages lie in two zones. Expect the rule of
   * zones to be broken by a shared tail for the node; and none with the zone read from the head.
   */
  @Test
  void boot_tailsPerNode_breaksTheRuleOfZonesWithoutTheHead() {
    String[] boot = {
      "boot", "--mem", "4G", "--nodes", "1", "--cmdline", "hugetlb_free_vmemmap=on hugepages=600",
      "--dax", "size=128M", "--at", "49+tails-per-node"
    };
    Run node = Run.of(boot);
    assertEquals(1, node.code());
    assertTrue(
        node.out()
            .lines()
            .filter(line -> line.startsWith("Violated"))
            .allMatch(line -> line.startsWith("Violated  struct-page-node-zone ")),
        node.out());

    boot[boot.length - 1] += "+zonenum-of-head";
    Run head = Run.of(boot);
    assertEquals(0, head.code(), head.out());
    boot[boot.length - 1] = "49+tails-per-zone";
    assertEquals(2, Run.of(boot).code());
  }

  /**
   * JSON. Expect the fields of a patch with the values of both kernels, the first observable in the
   * fields themselves, and a dash for a patch without any.
   */
  @Test
  void series_json_hasBeforeAndAfter() {
    String text = Run.of("series", "--json").out();
    assertTrue(text.contains("\"before\": \"-512\",\n      \"after\": \"0\""), text);
    assertTrue(text.contains("\"before\": \"4096\",\n      \"after\": \"1024\""), text);
    assertTrue(text.contains("\"before\": \"-\",\n      \"after\": \"-\""), text);
    assertTrue(text.contains("\"name\": \"no-bootmem-info\""), text);
    assertTrue(text.contains("\"underneath\": [\n    {\n      \"number\": 1,\n"), text);
  }

  /**
   * The table of a small machine from a text file, and of what is no scenario. Expect one line for
   * each number, with the levels that change it; and exit code 2 with a line that says what is wrong.
   */
  @Test
  void series_table_tellsWhereAMachineChanges(@TempDir Path folder) throws IOException {
    Path file = folder.resolve("small.txt");
    Files.writeString(file, "00000000-07ffffff : System RAM\n");
    Run run = Run.of("series", "table", "--scenario", file.toString());
    assertEquals(0, run.code(), run.err());
    assertTrue(run.out().contains("sections per root            128  *21: 170  *22: 128\n"));
    assertTrue(run.out().contains("rules broken                 none\n"), run.out());

    Files.writeString(file, "rubbish\n");
    Run bad = Run.of("series", "table", "--scenario", file.toString());
    assertEquals(2, bad.code());
    assertEquals(1, bad.err().lines().count(), bad.err());
    Run none = Run.of("series", "table", "--scenario", folder + "/none.json");
    assertEquals(2, none.code());
    assertTrue(none.err().contains("--scenario " + folder + "/none.json: cannot be read"));
    assertEquals(2, Run.of("series", "--scenario", file.toString()).code());
  }

  /** A device at two levels. Expect the counter of each kernel, and a refusal of no level. */
  @Test
  void boot_at_bootsTheKernelOfTheLevel() {
    String[] device = {
      "boot", "--mem", "1G", "--nodes", "1", "--dax", "size=1G,align=2M", "--at", "2",
      "--do", "cat /proc/vmstat"
    };
    assertTrue(Run.of(device).out().contains("nr_memmap_pages 4096"));
    device[8] = "3";
    assertTrue(Run.of(device).out().contains("nr_memmap_pages 1024"));
    device[8] = "50";
    assertEquals(2, Run.of(device).code());
    device[8] = "7.4";
    assertEquals(2, Run.of(device).code());
  }
}
