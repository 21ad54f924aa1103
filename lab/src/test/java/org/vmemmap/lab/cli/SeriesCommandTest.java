// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

/** The series on the command line. */
class SeriesCommandTest {
  /** The list. Expect a patch by its subject, what can be seen of it, and a later fix. */
  @Test
  void series_list_namesPatchesAndFixes() {
    Run run = Run.of("series");
    assertEquals(0, run.code(), run.err());
    assertTrue(
        run.out().contains("mm/sparse: fix vmemmap page accounting for HVOed DAX"), run.out());
    assertTrue(run.out().contains("4096 -> 1024"), run.out());
    assertTrue(run.out().contains("no-bootmem-info  in 7.3"), run.out());
  }

  /** One patch. Expect its places in the port; and one line for a number that is none. */
  @Test
  void series_show_tellsAboutOnePatch() {
    Run run = Run.of("series", "show", "9");
    assertTrue(run.out().contains("java        Sparse.sparseInitNid()\n"), run.out());
    assertEquals(2, Run.of("series", "show", "50").code());
    assertEquals(2, Run.of("series", "shew", "5").code());
  }

  /** JSON. Expect the fields of a patch. */
  @Test
  void series_json_hasBeforeAndAfter() {
    String text = Run.of("series", "--json").out();
    assertTrue(text.contains("\"before\": \"-512\""), text);
    assertTrue(text.contains("\"after\": \"0\""), text);
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
