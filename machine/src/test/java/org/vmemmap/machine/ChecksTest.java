// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertDoesNotThrow;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.vmemmap.machine.Faults.assertFault;
import static org.vmemmap.machine.ToyMachine.LINEAR;
import static org.vmemmap.machine.ToyMachine.ROOT;
import static org.vmemmap.machine.ToyMachine.readOnly;
import static org.vmemmap.machine.ToyMachine.readWrite;

import java.util.function.Predicate;
import org.junit.jupiter.api.Test;

/** What a machine watches for beyond hardware. Each check is shown off, then on. */
class ChecksTest {
  private static final long FRAME_A = 0x8_0000;
  private static final long FRAME_B = 0x8_1000;
  private static final long VA = 0x3000;
  private static final Checks ONLY_WORDS = Checks.none().withUninitialisedRead(true);

  private final ToyMachine toy = new ToyMachine(new OddFormat(3, true), 2);
  private final Machine machine = toy.machine;
  private final Cpu cpu = machine.cpu();

  /** A translation that the tables no longer give. Expect a fault when it is used. */
  @Test
  void staleTranslation_remappedWithoutFlush_faultsOnUse() {
    machine.check(Checks.translations());
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.readLong(VA + 8);

    toy.map(ROOT, VA, 0, readWrite(FRAME_B));

    assertFault("stale-translation va=0x3008 paddr=0x80008", () -> cpu.readLong(VA + 8));
    machine.flushRange(VA, VA + 0x1000);
    assertDoesNotThrow(() -> cpu.readLong(VA + 8));
  }

  /** The mapping is gone, the translation is not. Expect a fault when it is used. */
  @Test
  void staleTranslation_unmappedWithoutFlush_faultsOnUse() {
    machine.check(Checks.translations());
    long slot = toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.readLong(VA);

    toy.set(slot, 0);

    assertFault("stale-translation va=0x3000 paddr=0x80000", () -> cpu.readLong(VA));
  }

  /** Write permission was taken. Expect reads to pass, since they still tell the truth. */
  @Test
  void staleTranslation_protectedWithoutFlush_faultsOnWriteOnly() {
    machine.check(Checks.translations());
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.writeLong(VA, 1);

    toy.map(ROOT, VA, 0, readOnly(FRAME_A));

    assertEquals(1, cpu.readLong(VA));
    assertFault("stale-translation va=0x3000 paddr=0x80000", () -> cpu.writeLong(VA, 2));
  }

  /** The check is on from the start of a run only. Expect what was cached before to be dropped. */
  @Test
  void check_switchedOnLate_forgetsOldTranslations() {
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.readLong(VA);
    toy.map(ROOT, VA, 0, readWrite(FRAME_B));

    machine.check(Checks.translations());

    assertEquals(FRAME_B, cpu.translate(VA, false));
  }

  /**
   * A word that nobody wrote since the check is on.
   *
   * <pre>
   *   0x100: written   0x108: not
   * </pre>
   */
  @Test
  void uninitialisedRead_wordNeverWritten_faults() {
    assertEquals(0, machine.memory().getLong(0x108));
    machine.check(ONLY_WORDS);
    cpu.writeLong(LINEAR + 0x100, 1);

    assertEquals(1, cpu.readLong(LINEAR + 0x100));
    assertEquals(0, cpu.readByte(LINEAR + 0x107));
    assertFault("uninitialised-read paddr=0x108", () -> cpu.readLong(LINEAR + 0x108));
    assertFault("uninitialised-read paddr=0x108", () -> cpu.readInt(LINEAR + 0x10c));
    assertFault(
        "uninitialised-read paddr=0x108", () -> cpu.compareAndExchange(LINEAR + 0x108, 0, 1));
    assertFault("uninitialised-read paddr=0x108", () -> cpu.copy(LINEAR, LINEAR + 0x100, 16));
    assertFault("uninitialised-read paddr=0x110", () -> machine.memory().getLongAcquire(0x110));
  }

  /** All ways to write. Expect each to count, zeros too, although they make no chunk. */
  @Test
  void uninitialisedRead_everyKindOfWrite_counts() {
    machine.check(ONLY_WORDS);
    PhysicalMemory memory = machine.memory();

    memory.fill(0xf_fff8, 16, (byte) 0);
    memory.copy(0x200, 0xf_fff8, 16);
    memory.setInt(0x304, 3);
    memory.setLongRelease(0x400, 4);
    memory.setRecords(0x500, 2, new long[] {5}, new long[] {1});

    assertEquals(0, memory.getLong(0x10_0000));
    assertEquals(0, memory.getLong(0x208));
    assertEquals(3, memory.getInt(0x304));
    assertEquals(4, memory.getLong(0x400));
    assertEquals(6, memory.getLong(0x508));
  }

  /** A frame that was given back. Expect a fault through a mapping and through the window. */
  @Test
  void freedFrame_ownerRefused_faults() {
    machine.check(Checks.none().withAccessible(owner -> owner != TestOwner.FREE));
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.writeLong(VA, 1);

    machine.ledger().transfer(FRAME_A >>> 12, 1, TestOwner.NOBODY, TestOwner.FREE);

    assertFault("freed-frame-access frame=0x80 owner=FREE va=0x3000", () -> cpu.readLong(VA));
    assertFault(
        "freed-frame-access frame=0x80 owner=FREE va=0x400000080008",
        () -> cpu.writeLong(LINEAR + FRAME_A + 8, 1));
  }

  /** An entry in use is replaced by another frame's. Expect a fault, unless it is broken first. */
  @Test
  void breakBeforeMake_changeInPlace_faults() {
    machine.check(Checks.translations());
    long slot = toy.map(ROOT, VA, 0, readWrite(FRAME_A));

    assertFault(
        "break-before-make-violated old=0x80007 new=0x81007",
        () -> machine.beforeEntryWrite(slot, readWrite(FRAME_B), 0));
    assertDoesNotThrow(() -> machine.beforeEntryWrite(slot, readOnly(FRAME_A), 0));
    assertDoesNotThrow(() -> machine.beforeEntryWrite(slot, 0, 0));
  }

  /**
   * Break, but no flush before the make.
   *
   * <pre>
   *   VA -> A, cached on CPU 1;  VA -> nothing;  VA -> B
   * </pre>
   */
  @Test
  void breakBeforeMake_noFlushBetween_faults() {
    machine.check(Checks.translations());
    long slot = toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    machine.cpus().get(1).readLong(VA);
    toy.set(slot, 0);

    assertFault(
        "break-before-make-violated old=0x0 new=0x81007",
        () -> machine.beforeEntryWrite(slot, readWrite(FRAME_B), 0));
    machine.flushRange(VA, VA + 0x1000);
    assertDoesNotThrow(() -> machine.beforeEntryWrite(slot, readWrite(FRAME_B), 0));
  }

  /** An architecture that does not ask for it. Expect no fault for the same change. */
  @Test
  void breakBeforeMake_otherArchitecture_isNotAsked() {
    ToyMachine relaxed = new ToyMachine(OddFormat.withLevels(3), 1);
    relaxed.machine.check(Checks.translations());
    long slot = relaxed.map(ROOT, VA, 0, readWrite(FRAME_A));

    assertDoesNotThrow(() -> relaxed.machine.beforeEntryWrite(slot, readWrite(FRAME_B), 0));
  }

  /** Which checks look at each access. Expect those of translations and owners, and no others. */
  @Test
  void atAccesses_eachCheck_saysWhetherItLooks() {
    assertTrue(Checks.translations().atAccesses());
    assertTrue(Checks.none().withAccessible(owner -> true).atAccesses());
    assertFalse(Checks.none().atAccesses());
    assertFalse(Checks.entryWrites().atAccesses());
    assertFalse(ONLY_WORDS.withUncached(owner -> true).atAccesses());
  }

  /** One check after the other. Expect each to leave the others on. */
  @Test
  void with_oneMore_keepsTheOthers() {
    Predicate<FrameOwner> some = owner -> owner == TestOwner.FREE;
    Checks all =
        Checks.translations()
            .withAccessible(some)
            .withUncached(some)
            .withUninitialisedRead(true);

    assertEquals(new Checks(true, true, true, some, some), all);
    assertEquals(
        all,
        Checks.translations()
            .withUninitialisedRead(true)
            .withUncached(some)
            .withAccessible(some));
    assertEquals(new Checks(true, false, true, some, null), new Checks(true, false, true, some));
  }

  /** Frames of owners who may be touched. Expect accesses to find their bytes. */
  @Test
  void freedFrame_ownerAccepted_passes() {
    machine.check(Checks.none().withAccessible(owner -> owner == TestOwner.NOBODY));
    toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    machine.memory().setLong(FRAME_A, 7);

    assertEquals(7, cpu.readLong(VA));
    assertEquals(7, cpu.readLong(LINEAR + FRAME_A));
  }

  /** A CPU without tables, whose block was moved. Expect the use of the old place to fault. */
  @Test
  void staleTranslation_blockMoved_faultsOnUse() {
    BoltedMappings bolted = new BoltedMappings();
    bolted.insert(0x1_0000, 16, 0x8_0000, true);
    Machine hashed =
        new Machine(2L << 20, new PlainFormat(), LINEAR, TestOwner.values(), 1, bolted);
    hashed.check(Checks.translations());
    hashed.cpu().readLong(0x1_0008);

    bolted.remove(0x1_0000, 16);
    bolted.insert(0x1_0000, 16, 0x9_0000, true);

    assertFault("stale-translation va=0x10008 paddr=0x80008", () -> hashed.cpu().readLong(0x1_0008));
  }

  /** A fault. Expect it to tell the rule apart from the values. */
  @Test
  void rule_ofAFault_isItsFirstWord() {
    assertEquals("a-rule", new MachineFault("a-rule", "k", 1).rule());
    assertEquals("a-rule", new MachineFault("a-rule", "k", 1, "l", 2).rule());
    assertEquals("a-rule", new MachineFault("a-rule", 1, "owner=X").rule());
  }

  /** Nothing is watched unless asked for. Expect the same steps to pass. */
  @Test
  void none_sameSteps_pass() {
    long slot = toy.map(ROOT, VA, 0, readWrite(FRAME_A));
    cpu.readLong(VA);
    machine.ledger().transfer(FRAME_A >>> 12, 1, TestOwner.NOBODY, TestOwner.FREE);
    toy.set(slot, 0);

    assertEquals(0, cpu.readLong(VA));
    assertDoesNotThrow(() -> machine.beforeEntryWrite(slot, readWrite(FRAME_B), 0));
    machine.check(Checks.none());
    toy.set(slot, readWrite(FRAME_A));
    assertEquals(0, cpu.readLong(VA));
  }
}
