// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.cases;

import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * What the makers of the cases found worth knowing, and the case that shows each. {@link ReplayTest}
 * replays all of them without a mismatch and {@link HonestyTest} shows that each fact counts, so here
 * only the fact has to be in the case. What no given case shows has a test of its own:
 *
 * <ul>
 *   <li>arm64 16K, two devices in a page of memmap: {@code
 *       ReplayTest.replay_neighboursOn16k_secondRemovalTouchesItsFirstStructPage} and {@code
 *       SubsectionOrdersTest.addRemove_kernelsOwnBugs_areTheOnlyOnes}
 *   <li>an altmap that is too small: an error on arm64, {@code
 *       Arm64MmuTest.addMemory_altmapExhausted_isRefused}; memory from RAM on powerpc, {@code
 *       HashVmemmapTest.altmap_tooSmall_restComesFromRam}
 *   <li>references in the tails of a page whose shared tail was written: {@code
 *       HugetlbDemoteTest.demoteStore_bootPageWrittenByEarlyInit_leavesReferences}; that the page
 *       allocator reports such pages: {@code FreePagesTest}
 *   <li>a compound device next to boot memory inherits the leaf: {@code
 *       ReplayTest.replay_compoundBehindPlainOnRadix_inheritsTheLeaf}
 * </ul>
 */
final class KnownBehavioursTest {
  @ParameterizedTest(name = "{0}")
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "the shared tail of an early gigantic page is not uniform | x86-64/prehvo-dma32-4g-on"
            + " | \"refcount\":1,\"uniform\":false",
        "pages with a self-hosted memmap are refused | x86-64/hotplug-dimm-mom1-on"
            + " | \"zone\":\"Movable\",\"private\":\"0x8\"",
        "but their zone gets a shared tail | x86-64/hotplug-dimm-mom1-on"
            + " | \"zone\":\"Movable\",\"order\":9,\"refcount\":1,\"uniform\":true",
        "powerpc keeps a shared page of memmap | powerpc/64k-pair-radix-16M-16M"
            + " | \"what\":\"rangeofdeviceA\",\"startPfn\":32768",
        "arm64 blocks with their own memmap stay online | arm64/4k-kmem-memmap_on_memory-force"
            + " | \"rc\":-1",
        "and are not removed | arm64/4k-kmem-memmap_on_memory-force | \"removed\":false",
        "arm64 partial sections use their altmap | arm64/16k-remap-256M-alt-small"
            + " | \"allocPages\":64",
        "a compound device next to boot memory counts as deduplicated"
            + " | powerpc/4k-remap-radix-64M-at-1088M-shift9 | \"nr_memmap_pages\":64",
        "powerpc 64K counts a whole page for each section"
            + " | powerpc/64k-remap-radix-64M-at-2G-shift0 | \"nr_memmap_pages\":4",
        "the span of ZONE_DEVICE never shrinks | x86-64/dax-hmem-2m | \"spannedPages\":786432",
        "nr_memmap_pages rises in full for memmap inside a device | x86-64/dax-pmem-dev-2m"
            + " | \"nr_memmap_pages\":12288",
        "a removal that failed is given | powerpc/4k-dimm-radix | \"removed\":false",
      })
  void case_namedForABehaviour_hasTheFact(String behaviour, String name, String fact) {
    String text = CaseFiles.text(GivenCases.root().resolve(name + ".json"));
    String bare = text.replaceAll("\\s", "");
    assertTrue(bare.contains(fact), () -> behaviour + ": " + name + " lacks " + fact);
  }
}
