// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.machine.Faults.assertFault;
import static org.vmemmap.machine.ToyMachine.LINEAR;

import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/**
 * A machine whose CPUs walk no tree.
 *
 * <pre>
 *   va 0x...10000   64 KiB   --&gt;  paddr 0x80000
 *   va 0x...20000    4 KiB   --&gt;  paddr 0x9000, read-only
 * </pre>
 */
class BoltedMappingsTest {
  private static final long VA = 0xc000_0000_0001_0000L;
  private static final long SMALL = 0xc000_0000_0002_0000L;
  private static final long PADDR = 0x8_0000;
  private static final long SMALL_PADDR = 0x9000;
  private static final int SHIFT_64K = 16;
  private static final int SHIFT_4K = 12;

  private final BoltedMappings bolted = new BoltedMappings();
  private final Machine machine =
      new Machine(2L << 20, new OddFormat(3, true), LINEAR, TestOwner.values(), 2, bolted);
  private final Cpu cpu = machine.cpu();

  BoltedMappingsTest() {
    bolted.insert(VA, SHIFT_64K, PADDR, true);
    bolted.insert(SMALL, SHIFT_4K, SMALL_PADDR, false);
  }

  /** A word in the middle of a block. Expect it in the right place of physical memory. */
  @Test
  void write_insideABlock_landsBehindIt() {
    cpu.writeLong(VA + 0x5678, 42);

    assertEquals(42, machine.memory().getLong(PADDR + 0x5678));
    assertEquals(42, machine.cpus().get(1).readLong(VA + 0x5678));
  }

  /** Behind the last block and before the first. Expect the fault of a page that is not there. */
  @Test
  void read_outsideOfAllBlocks_notPresent() {
    assertFault("not-present va=0xc000000000021000", () -> cpu.readLong(SMALL + 0x1000));
    assertFault("not-present va=0xc00000000000fff8", () -> cpu.readLong(VA - 8));
  }

  /** A block that is read-only. Expect reads to pass, and a write to fault after them, too. */
  @Test
  void write_readOnlyBlock_faults() {
    assertEquals(0, cpu.readLong(SMALL));
    assertFault(
        "write-to-read-only va=0xc000000000020008 paddr=0x9008", () -> cpu.writeLong(SMALL + 8, 1));
  }

  /** The linear window needs no block. Expect it to work as with page tables. */
  @Test
  void read_linearWindow_needsNoBlock() {
    cpu.writeLong(LINEAR + PADDR, 7);

    assertEquals(7, cpu.readLong(VA));
  }

  /** A block is removed. Expect what is cached to stay until the flush, and a fault behind it. */
  @Test
  void remove_cached_staysUntilFlush() {
    cpu.readLong(VA);

    assertTrue(bolted.remove(VA, SHIFT_64K));
    assertDoesNotThrow(() -> cpu.readLong(VA));
    machine.flushRange(VA, VA + 0x1_0000);

    assertFault("not-present va=0xc000000000010000", () -> cpu.readLong(VA));
  }

  /** The same under watch. Expect the use of the stale translation to fault. */
  @Test
  void remove_cachedAndChecked_faultsOnUse() {
    machine.check(Checks.translations());
    cpu.readLong(VA);
    assertDoesNotThrow(() -> cpu.readLong(VA + 8));

    bolted.remove(VA, SHIFT_64K);

    assertFault("stale-translation va=0xc000000000010000 paddr=0x80000", () -> cpu.readLong(VA));
  }

  /** A block moves, or loses its permission, unseen by a cache. Expect the use to fault. */
  @Test
  void replace_cachedAndChecked_faultsOnUse() {
    machine.check(Checks.translations());
    cpu.writeLong(VA, 1);
    bolted.remove(VA, SHIFT_64K);
    bolted.insert(VA, SHIFT_64K, PADDR, false);

    assertEquals(1, cpu.readLong(VA));
    assertFault("stale-translation va=0xc000000000010000 paddr=0x80000", () -> cpu.writeLong(VA, 2));
  }

  /** A block over, under and beside others. Expect machine checks, and the neighbour to be fine. */
  @Test
  void insert_overlap_isADuplicate() {
    assertFault(
        "duplicate-mapping va=0xc000000000018000 old=0xc000000000010000",
        () -> bolted.insert(VA + 0x8000, SHIFT_4K, 0, true));
    assertFault(
        "duplicate-mapping va=0xc000000000000000 old=0xc000000000020000",
        () -> bolted.insert(0xc000_0000_0000_0000L, 24, 0, true));
    assertDoesNotThrow(() -> bolted.insert(SMALL + 0x1000, SHIFT_4K, 0, true));
  }

  /** Addresses that are no multiple of the size. Expect a fault for either of them. */
  @Test
  void insert_misaligned_faults() {
    assertFault(
        "misaligned-mapping va=0xc000000000001000 paddr=0x0",
        () -> bolted.insert(0xc000_0000_0000_1000L, SHIFT_64K, 0, true));
    assertFault(
        "misaligned-mapping va=0xc000000001000000 paddr=0x1000",
        () -> bolted.insert(0xc000_0000_0100_0000L, SHIFT_64K, 0x1000, true));
  }

  /** What is not there, or not of that size, or not at its start. Expect removal to say so. */
  @Test
  void remove_otherBlock_isRefused() {
    assertFalse(bolted.remove(VA + 0x1000, SHIFT_4K));
    assertFalse(bolted.remove(VA, SHIFT_4K));
    assertFalse(bolted.remove(SMALL + 0x1_0000, SHIFT_64K));
    assertEquals(2, bolted.blocks().size());
  }

  /** All blocks. Expect them by address, each findable by any address inside. */
  @Test
  void blocks_inOrder_andFoundByAddress() {
    BoltedMappings.Block large = new BoltedMappings.Block(VA, SHIFT_64K, PADDR, true);
    BoltedMappings.Block small = new BoltedMappings.Block(SMALL, SHIFT_4K, SMALL_PADDR, false);

    assertEquals(List.of(large, small), bolted.blocks());
    assertEquals(large, Objects.requireNonNull(bolted.block(VA + 0xffff)));
    assertEquals(VA + 0x1_0000, large.end());
    assertNull(bolted.block(SMALL + 0x1000));
    assertNull(bolted.block(0));
  }
}
