// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Inputs of a case that decide which hugepages a pool has: how many the captured machine could make,
 * and how many got their memmap back before memory ran out.
 */
class PoolInputsTest {
  private static final String NR_HUGEPAGES = "/proc/sys/vm/nr_hugepages";

  private static String machine(String cmdline) {
    return """
        {"schema": "vmemmap-case/1", "name": "n", "family": "f", "about": "a",
         "wordMask0": "0xfff800003fffffff",
         "machine": {"arch": "x86-64", "mmu": "4-level", "pageSize": 4096, "sizeofStructPage": 64,
          "sectionSizeBits": 27, "vmemmapBase": "0xffffea0000000000",
          "config": {"ZONE_DMA": true, "ZONE_DMA32": true, "NODES_SHIFT": 10, "NUMA_BALANCING": true,
           "DEFERRED_STRUCT_PAGE_INIT": true, "HUGETLB_PAGE_OPTIMIZE_VMEMMAP": true,
           "SPARSEMEM_VMEMMAP_PREINIT": true, "ARCH_WANT_OPTIMIZE_DAX_VMEMMAP": true,
           "ARCH_HAS_GIGANTIC_PAGE": true, "PAGE_EXTENSION": true, "MEMCG": true},
          "ram": [{"start": "0x100000", "end": "0x10000000", "node": 0}], "cmdline": [%s]},
        """
        .formatted(cmdline);
  }

  private static String pages(String runs) {
    return "\"pages\": [{\"order\": 9, \"node\": 0, \"zone\": \"DMA32\", \"pfns\": [%s]}]"
        .formatted(runs);
  }

  private static String pool(int total, int surplus) {
    String none = "\"free\": 0, \"surplus\": 0, \"reserved\": 0, \"perNode\": {\"0\": 0}";
    return """
        [{"size": 2097152, "total": %d, "free": %d, "surplus": %d, "reserved": 0,
          "perNode": {"0": %d}}, {"size": 1073741824, "total": 0, %s}]
        """
        .formatted(total, total, surplus, total, none);
  }

  private static String setPool(int count, int readback, String more) {
    return """
        {"op": "setPool", "size": 2097152, "node": null, "count": %d, "via": "%s", "rc": 0,
         "readback": "%d"%s}
        """
        .formatted(count, NR_HUGEPAGES, readback, more);
  }

  private static List<Mismatch> replay(String text) {
    return new CaseRun(CaseFiles.parse("f", text)).run().mismatches();
  }

  /**
   * 100 pages are asked for, the machine could make 3. Expect a pool of 3, at the command line and at
   * run time, although the model has memory for more.
   */
  @Test
  void setPool_fewerPlacedThanAskedFor_stopsThere() {
    String steps =
        """
        "steps": [{"label": "boot", "do": [{"op": "boot", "optimizeVmemmap": true,
           "hugepages": [{"size": 2097152, "node": null, "count": 100}]}],
          "placement": {"exact": true, %s}, "expect": {"hugepages": %s}},
         {"label": "again", "do": [%s],
          "placement": {"exact": true, %s}, "expect": {"hugepages": %s}}]}
        """
            .formatted(
                pages("[24576, 3, 512]"),
                pool(3, 0),
                setPool(101, 4, ""),
                pages("[24576, 4, 512]"),
                pool(4, 0));
    String words = "\"hugetlb_free_vmemmap=on\", \"hugepages=100\"";
    assertEquals(List.of(), replay(machine(words) + steps));
  }

  /**
   * A pool of six shrinks to two without memory, but two pages had their memmap back by then. Expect
   * exactly the two that the placement has no more to be gone, and the other two to be surplus.
   */
  @Test
  void setPool_exhausted_freesThePagesThatThePlacementSays() {
    String four =
        """
        "pool": [{"order": 9, "node": 0, "zone": "DMA32", "private": "0x18", "refcount": 0,
          "pfns": [[24576, 2, 1024], [26624, 2, 512]]}]
        """;
    String steps =
        """
        "steps": [{"label": "boot", "do": [{"op": "boot", "optimizeVmemmap": true}, %s],
          "placement": {"exact": true, %s}, "expect": {"hugepages": %s}},
         {"label": "shrink", "do": [%s],
          "placement": {"exact": true, "restoredBeforeFailure": 2, %s},
          "expect": {"hugepages": %s, %s}}]}
        """
            .formatted(
                setPool(6, 6, ""),
                pages("[24576, 6, 512]"),
                pool(6, 0),
                setPool(2, 2, ", \"memory\": \"exhausted\""),
                pages("[24576, 2, 1024], [26624, 2, 512]"),
                pool(4, 2),
                four);
    assertEquals(List.of(), replay(machine("\"hugetlb_free_vmemmap=on\"") + steps));
  }

  /**
   * The command line of the case says nothing of the hugepages that the boot operation has for two
   * nodes. Expect both numbers to reach the kernel.
   */
  @Test
  void boot_hugepagesByNodeWithoutAWord_areAllMade() {
    String node0 = "{\"start\": \"0x100000\", \"end\": \"0x10000000\", \"node\": 0}";
    String node1 = "{\"start\": \"0x10000000\", \"end\": \"0x20000000\", \"node\": 1}";
    String steps =
        """
        "steps": [{"label": "boot", "do": [{"op": "boot", "optimizeVmemmap": false, "hugepages": [
           {"size": 2097152, "node": 0, "count": 2}, {"size": 2097152, "node": 1, "count": 3}]}],
          "expect": {"hugepages": [
           {"size": 2097152, "total": 5, "free": 5, "surplus": 0, "reserved": 0,
            "perNode": {"0": 2, "1": 3}},
           {"size": 1073741824, "total": 0, "free": 0, "surplus": 0, "reserved": 0,
            "perNode": {"0": 0, "1": 0}}]}}]}
        """;
    String twoNodes = machine("").replace(node0, node0 + ", " + node1);
    assertEquals(List.of(), replay(twoNodes + steps));
  }
}
