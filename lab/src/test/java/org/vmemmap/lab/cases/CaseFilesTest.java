// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Objects;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.vmemmap.lab.boot.BadInput;
import org.vmemmap.lab.boot.MachineSpec;
import org.vmemmap.lab.boot.MemoryRanges;
import org.vmemmap.lab.boot.Ram;

/** Case files as records, and broken ones as one line. */
class CaseFilesTest {
  /** A small case with one of everything that the tests below break. */
  private static final String GOOD =
      """
      {
       "schema": "vmemmap-case/1", "name": "x86-64/small", "family": "boot memmap", "about": "Small.",
       "wordMask0": "0xfff800003fffffff",
       "machine": {
        "arch": "x86-64", "mmu": "5-level", "pageSize": 4096, "sizeofStructPage": 64, "sectionSizeBits": 27,
        "memoryBlockSize": 134217728, "vmemmapBase": "0xffd4000000000000",
        "config": {"NODES_SHIFT": 10, "NUMA_BALANCING": true, "ZONE_DMA": true},
        "ram": [{"start": "0x1000", "end": "0x9f000", "node": 0}],
        "cmdline": ["hugepages=2"]
       },
       "steps": [
        {"label": "boot",
         "do": [{"op": "boot", "optimizeVmemmap": true, "hugepages": [{"size": 2097152, "node": null, "count": 2}]}],
         "placement": {"exact": false, "pages": [{"order": 9, "node": 0, "zone": null, "pfns": [[512, 2, 512]]}]},
         "expect": {"vmstat": {"nr_memmap_pages": 7}}},
        {"label": "less",
         "do": [{"op": "setPool", "size": 2097152, "node": 1, "count": 0, "via": "/proc/sys/vm/nr_hugepages", "rc": 0, "readback": "0"}],
         "expect": {"zones": [{"node": 0, "name": "DMA", "startPfn": null, "spannedPages": 1, "presentPages": 1}],
                    "ranges": [{"startPfn": 512, "pages": 512, "structPages": [{"at": "0", "words": ["0x0"]}]}]}}
       ]
      }
      """;

  private static VmemmapCase good() {
    return CaseFiles.parse("f", GOOD);
  }

  /** The machine, the operations and their results come out as they went in. */
  @Test
  void parse_goodFile_givesRecords() {
    VmemmapCase one = good();
    VmemmapCase.Step boot = one.steps().get(0);
    VmemmapCase.Operation less = one.steps().get(1).operations().get(0);

    assertEquals("x86-64/small", one.name());
    assertEquals(0xfff800003fffffffL, one.wordMask0());
    assertEquals(new Ram(0x1000, 0x9f000, 0), one.machine().memory().of(MemoryRanges.Kind.RAM).get(0));
    assertEquals(
        new VmemmapCase.Boot(
            true, java.util.List.of(new VmemmapCase.BootHugepages(2097152, null, 2)), 0, 0),
        boot.operations().get(0).args());
    assertEquals(
        java.util.List.of(512L, 1024L),
        Objects.requireNonNull(boot.placement()).pages().get(0).pfns());
    assertEquals(
        new VmemmapCase.SetPool(2097152, 1, 0, "/proc/sys/vm/nr_hugepages", false), less.args());
    assertEquals(java.util.Set.of("rc", "readback"), less.results().keySet());
    assertTrue(less.unknown().isEmpty());
  }

  /** The machine part maps to the bench's own description; five levels widen physical addresses. */
  @Test
  void spec_fiveLevelMachine_hasItsConfiguration() {
    MachineSpec spec = CaseFiles.spec(good().machine());

    assertEquals(5, spec.levels());
    assertEquals(0xffd4000000000000L, spec.vmemmapBase());
    assertEquals(52, spec.config().maxPhysmemBits());
    assertEquals(21, spec.config().lastCpupidBits());
    assertEquals(java.util.List.of("hugepages=2"), spec.cmdline());
  }

  /**
   * Each line of the table replaces one text by another; the complaint names the place of the
   * third, which stands once in the broken file.
   */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      textBlock =
          """
          "schema": "vmemmap-case/1" | "schema": "vmemmap-case/9" | "vmemmap-case/9"   | "schema" of a case file is "vmemmap-case/9"; wanted "vmemmap-case/1"
          "pageSize": 4096           | "pageSize": "4096"     | "4096"                 | "pageSize" of the machine is "4096"; wanted a whole number
          "0x1000"                   | "4096"                 | "4096"                 | "start" of a RAM range is "4096"; wanted a string like "0x1000"
          "0x9f000"                  | "0x0800"               | "0x0800"               | "end" of a RAM range is "0x0800"; wanted an address above the start
          "optimizeVmemmap": true    | "optimizeVmemmap": 11  | 11                     | "optimizeVmemmap" of operation boot is "11"; wanted true or false
          [[512, 2, 512]]            | [[512, 2]]             | [512, 2]               | "pfns" is a list; wanted three numbers [first, count, step]
          {"nr_memmap_pages": 7}     | 78                     | 78                     | "vmstat" is "78"; wanted an object
          "nr_memmap_pages": 7       | "nr_memmap_pages": "7" | "7"                    | "nr_memmap_pages" is "7"; wanted a whole number
          "rc": 0                    | "rc": "zero"           | "zero"                 | "rc" is "zero"; wanted a whole number
          "size": 2097152, "node": 1 | "node": 1              | {"op": "setPool"       | operation setPool has no "size"; wanted this field
          "at": "0"                  | "at": "0-"             | "0-"                   | "at" is "0-"; wanted a string like "0,4-63"
          "at": "0",                 |                        | { "words"              | an item of "structPages" has no "at"; wanted this field
          ["0x0"]                    | ["nil"]                | "nil"                  | "words" is "nil"; wanted "0x0", "self+0x8", "page[1]+0x8", "pgmap" or "-"
          """)
  void parse_brokenFile_isOneLineWithItsPlace(
      String from, String to, String place, String complaint) {
    String broken = GOOD.replace(from, to == null ? "" : to);

    BadInput thrown = assertThrows(BadInput.class, () -> CaseFiles.parse("f", broken));

    assertEquals("f:" + position(broken, place) + ": " + complaint, thrown.getMessage());
  }

  private static String position(String text, String place) {
    int at = text.indexOf(place);
    assertTrue(at >= 0 && text.indexOf(place, at + 1) < 0, place + " stands once in " + text);
    String before = text.substring(0, at);
    return before.lines().count() + ":" + (at - before.lastIndexOf('\n'));
  }

  /** An operation that the format does not have is refused with the list of those it has. */
  @Test
  void parse_unknownOperation_namesTheKnownOnes() {
    String broken = GOOD.replace("\"op\": \"setPool\"", "\"op\": \"setPond\"");

    BadInput thrown = assertThrows(BadInput.class, () -> CaseFiles.parse("f", broken));

    assertEquals(
        "f:"
            + position(broken, "\"setPond\"")
            + ": \"op\" of an operation is \"setPond\"; wanted one of addMemory, boot, daxBind,"
            + " daxUnbind, demote, mapDevice, mapHugepage, memremap, memunmap, offlineBlocks,"
            + " onlineBlocks, removeMemory, setOptimize, setPool, unmapHugepage",
        thrown.getMessage());
  }

  /** Keys that nobody knows are kept, for the replay to complain of. */
  @Test
  void parse_unknownKeys_areKept() {
    String text =
        GOOD.replace("\"node\": 1,", "\"node\": 1, \"wish\": 3,")
            .replace("\"label\": \"less\",", "\"label\": \"less\", \"mood\": \"good\",")
            .replace("\"arch\": \"x86-64\",", "\"arch\": \"x86-64\", \"fan\": true,");

    VmemmapCase one = CaseFiles.parse("f", text);
    VmemmapCase.Step less = one.steps().get(1);

    assertEquals(java.util.Set.of("fan"), one.machine().unknown().keySet());
    assertEquals(java.util.Set.of("mood"), less.unknown().keySet());
    assertEquals(java.util.Set.of("wish"), less.operations().get(0).unknown().keySet());
  }

  /** A file that is not there is one line. */
  @Test
  void read_missingFile_saysSo() {
    BadInput thrown =
        assertThrows(BadInput.class, () -> CaseFiles.read(Path.of("no-such-case.json")));

    assertEquals("no-such-case.json: cannot be read; wanted a case file", thrown.getMessage());
  }
}
