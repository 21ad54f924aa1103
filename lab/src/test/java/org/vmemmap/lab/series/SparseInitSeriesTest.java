// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.series;

import static java.util.stream.Collectors.joining;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.Mmzone;

/** Sections without a memmap at boot: patch 9. */
class SparseInitSeriesTest {
  /** A table of pmds, one of pud, and the leaves of two sections. */
  private static final int BLOCKS_OF_TWO = 4;

  private String stopped = "";

  /**
   * Memory for two of four memmaps (and for nothing smaller either).
   *
   * <pre>
   *   sections   [ 0 ][ 1 ][ 2 ][ 3 ]
   *   memmap      yes  yes   -    -
   * </pre>
   *
   * Expect boot to go on without sections 2 and 3 before patch 9, and to meet them again a moment
   * later, where their subsections are marked: the kernel follows a null pointer there. With the
   * patch, expect a panic that names section 2 while both are still present.
   */
  @Test
  @Tag("patch-09")
  void sparseInitNid_memmapFails_panicsInsteadOfForgettingSections() {
    assertEquals(
        "2 of 4 sections, nr_memmap_boot_pages 1024", Seen.at(8, "no-memmap-boot"));
    assertEquals(
        "panic: Failed to allocate memmap for section 2", Seen.at(9, "no-memmap-boot"));
  }

  /**
   * The same boot before patch 9: what is left of section 2. Expect its pfn 65536 to have no struct
   * page, while memblock still has all of the RAM; and the kernel to say what it lost.
   */
  @Test
  @Tag("patch-09")
  void sparseInitNid_memmapFails_losesSectionsThatMemblockHas() {
    LabKernel before = failing(8, "sparse_buffer_init", BLOCKS_OF_TWO);
    assertFalse(before.mm().mmzone().pfnValid(65536));
    assertTrue(before.mm().mmzone().pfnValid(65535));
    assertEquals(1024, before.mm().vmstat().nrMemmapBootPages());
    long ram = SeriesMachine.spec(512L << 20).ram().stream().mapToLong(Ram::size).sum();
    assertEquals(ram, before.memblock().memblockPhysMemSize());
    String said = "node[0] memory map backing failed. Some memory will not be available.";
    assertTrue(log(before).contains(said), log(before));

    LabKernel after = failing(9, "sparse_buffer_init", BLOCKS_OF_TWO);
    assertEquals(1024, after.mm().vmstat().nrMemmapBootPages());
    assertFalse(log(after).contains("Some memory will not be available."), log(after));
  }

  /**
   * No memory for the usage records of the node's four sections. Expect all four to be absent before
   * patch 9, and the kernel to meet them again in the same place; with the patch a panic that names
   * the node, while all are present.
   */
  @Test
  @Tag("patch-09")
  void sparseInitNid_usemapFails_panicsInsteadOfForgettingTheNode() {
    LabKernel before = failing(8, "sparse_usage_init", 0);
    assertEquals("kernel BUG at NULL pointer dereference: ms->usage", stopped);
    assertTrue(log(before).contains("node[0] usemap allocation failed"), log(before));
    assertEquals(0, present(before));

    LabKernel after = failing(9, "sparse_usage_init", 0);
    assertEquals("Failed to allocate usemap for node 0", stopped);
    assertEquals(4, present(after));
  }

  /** Boots four sections; a site fails, and so do all blocks of memmap but the first ones. */
  private LabKernel failing(int level, String failingSite, int blocks) {
    LabKernel[] booting = new LabKernel[1];
    AtomicInteger asked = new AtomicInteger();
    LabKernel.Listener listener =
        new LabKernel.Listener() {
          @Override
          public void beforeMmCoreInit(LabKernel kernel) {
            booting[0] = kernel;
            kernel
                .mm()
                .machine()
                .faults()
                .failFrom(
                    1,
                    site ->
                        site.equals(failingSite)
                            || (site.equals("vmemmap_alloc_block")
                                && asked.incrementAndGet() > blocks));
          }
        };
    RuntimeException end =
        assertThrows(
            RuntimeException.class,
            () ->
                LabKernel.bootEarly(
                    new Level(level).on(SeriesMachine.spec(512L << 20)), listener));
    stopped = String.valueOf(end.getMessage());
    return booting[0];
  }

  private static long present(LabKernel kernel) {
    Mmzone mmzone = kernel.mm().mmzone();
    return LongStream.range(0, 4).filter(nr -> mmzone.presentSection(mmzone.section(nr))).count();
  }

  private static String log(LabKernel kernel) {
    return kernel.mm().printk().lines().stream().map(line -> line.text()).collect(joining("\n"));
  }
}
