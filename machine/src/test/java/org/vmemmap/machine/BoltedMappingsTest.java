// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** A CPU that asks a table of bolted blocks instead of walking a tree. */
class BoltedMappingsTest {
  private static final long LINEAR = 0x4000_0000_0000L;
  private static final long VA = 0xc00c_0000_0000_0000L;
  private static final int SHIFT = 16;
  private static final long BLOCK = 1L << SHIFT;

  private final BoltedMappings bolted = new BoltedMappings();
  private final Machine machine =
      new Machine(2L << 20, OddFormat.withLevels(3), LINEAR, TestOwner.values(), 1, bolted);
  private final Cpu cpu = machine.cpu();

  /**
   * Two blocks beside each other, lying apart in memory.
   *
   * <pre>
   *   va       +64 KiB  +128 KiB
   *   | 0x80000 | 0x40000 |  -
   * </pre>
   *
   * Expect each address to find its own block, and none behind the last.
   */
  @Test
  void access_neighbours_findTheirBlocks() {
    bolted.insert(VA, SHIFT, 0x8_0000, true);
    bolted.insert(VA + BLOCK, SHIFT, 0x4_0000, true);

    cpu.writeLong(VA + 0x1238, 1);
    cpu.writeLong(VA + BLOCK + 0x10, 2);

    assertEquals(1, machine.memory().getLong(0x8_1238));
    assertEquals(2, machine.memory().getLong(0x4_0010));
    assertFault("not-present va=0xc00c000000020000", () -> cpu.readLong(VA + 2 * BLOCK));
    assertEquals(2, bolted.blocks().size());
  }

  /** A block that allows no stores. Expect reads to pass and stores to fault. */
  @Test
  void write_readOnlyBlock_faults() {
    bolted.insert(VA, SHIFT, 0x8_0000, false);

    assertEquals(0, cpu.readLong(VA + 8));
    assertFault(
        "write-to-read-only va=0xc00c000000000008 paddr=0x80008", () -> cpu.writeLong(VA + 8, 1));
  }

  /** A removed block stays in the cache. Expect it to be used until the flush. */
  @Test
  void remove_withoutFlush_staysCached() {
    bolted.insert(VA, SHIFT, 0x8_0000, true);
    cpu.writeLong(VA, 7);

    assertFalse(bolted.remove(VA, SHIFT - 4));
    assertTrue(bolted.remove(VA, SHIFT));
    assertFalse(bolted.remove(VA, SHIFT));

    assertEquals(7, cpu.readLong(VA));
    machine.flushRange(VA, VA + BLOCK);
    assertFault("not-present va=0xc00c000000000000", () -> cpu.readLong(VA));
    assertNull(bolted.block(VA));
  }

  /** The same with the check for stale translations. Expect a fault at the first use. */
  @Test
  void remove_staleChecked_faultsOnUse() {
    machine.check(Checks.translations());
    bolted.insert(VA, SHIFT, 0x8_0000, true);
    cpu.readLong(VA);
    bolted.remove(VA, SHIFT);

    assertFault(
        "stale-translation va=0xc00c000000000000 paddr=0x80000", () -> cpu.readLong(VA));
  }

  /** Blocks that are misaligned or overlap one another. Expect refusals, and nothing entered. */
  @Test
  void insert_misalignedOrOverlapping_faults() {
    bolted.insert(VA, SHIFT, 0x8_0000, true);

    assertFault(
        "misaligned-mapping va=0xc00c000000011000 paddr=0x0",
        () -> bolted.insert(VA + BLOCK + 0x1000, SHIFT, 0, true));
    assertFault(
        "duplicate-mapping va=0xc00c000000008000 old=0xc00c000000000000",
        () -> bolted.insert(VA + BLOCK / 2, SHIFT - 1, 0, true));
    assertFault(
        "duplicate-mapping va=0xc00c000000000000 old=0xc00c000000000000",
        () -> bolted.insert(VA, 24, 0, true));
    assertEquals(1, bolted.blocks().size());
  }

  private static void assertFault(String message, Executable access) {
    assertEquals(message, assertThrows(MachineFault.class, access).getMessage());
  }
}
