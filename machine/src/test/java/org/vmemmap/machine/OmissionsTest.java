// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Each primitive does its work, and does not when a test has its call left out. */
class OmissionsTest {
  private static final long AT = ToyMachine.LINEAR + 0x10_0000;

  private final Machine machine = new ToyMachine(OddFormat.withLevels(3), 1).machine;
  private final Cpu cpu = machine.cpu();

  /** A fill with zeros. Expect the bytes to stay, and other fills to go on. */
  @Test
  void fill_withZeros_isLeftOut() {
    cpu.writeLong(AT, 5);
    machine.omissions().drop(Omissions.CLEAR::equals);
    cpu.fill(AT, 8, (byte) 0);
    assertEquals(5, cpu.readLong(AT));
    cpu.fill(AT, 8, (byte) 1);
    assertEquals(0x0101_0101_0101_0101L, cpu.readLong(AT));

    machine.omissions().dropNone();
    cpu.fill(AT, 8, (byte) 0);
    assertEquals(0, cpu.readLong(AT));
  }

  /** A copy. Expect the destination to stay. */
  @Test
  void copy_leftOut_changesNothing() {
    cpu.writeLong(AT, 5);
    machine.omissions().drop(Omissions.COPY::equals);
    cpu.copy(AT + 64, AT, 8);
    assertEquals(0, cpu.readLong(AT + 64));
  }

  /** Atomic adds. Expect the count to stay, or the test for what it must not be to be skipped. */
  @Test
  void atomicAdd_leftOut_leavesTheCount() {
    assertEquals(2, cpu.addInt(AT, 2));
    assertFalse(cpu.addUnless(AT, 1, 2));
    assertTrue(cpu.addUnless(AT, 1, 0));
    machine.omissions().drop(Omissions.ATOMIC_ADD::equals);
    assertEquals(3, cpu.addInt(AT, -1));
    machine.omissions().drop(Omissions.ADD_UNLESS::equals);
    assertTrue(cpu.addUnless(AT, 1, 3));
    assertEquals(4, cpu.readInt(AT));
  }

  /** A counter and a flag. Expect the one that is named to stay, or to read as clear. */
  @Test
  void addAndTestBit_leftOutByName_othersGoOn() {
    machine.omissions().drop(call -> call.equals("add a") || call.equals("test_bit flags"));
    assertEquals(7, machine.add("a", 7, 1));
    assertEquals(8, machine.add("b", 7, 1));
    assertFalse(machine.testBit("flags", 3, 1));
    assertTrue(machine.testBit("private", 3, 1));
    assertFalse(machine.testBit("private", 3, 4));
  }

  /** An exchange into a cell that is taken. Expect the old value to stay, and to be lost without. */
  @Test
  void exchangeIfNull_leftOut_writesWhateverIsThere() {
    String[] cells = {null};
    assertNull(machine.exchangeIfNull("cells", cells, 0, "first"));
    assertEquals("first", machine.exchangeIfNull("cells", cells, 0, "second"));
    assertEquals("first", cells[0]);
    machine.omissions().drop("cmpxchg cells"::equals);
    assertNull(machine.exchangeIfNull("cells", cells, 0, "third"));
    assertEquals("third", cells[0]);
  }

  /** Work that waits for a reader. Expect it behind the reader, and at once when nobody waits. */
  @Test
  void after_leftOut_doesNotWaitForReaders() {
    List<String> done = new ArrayList<>();
    GracePeriods periods = machine.gracePeriods();
    periods.enter();
    periods.after(() -> done.add("waited"));
    assertEquals(1, periods.waiting());
    machine.omissions().drop(Omissions.CALL_RCU::equals);
    periods.after(() -> done.add("at once"));
    assertEquals(List.of("at once"), done);
    periods.leave();
    assertEquals(List.of("at once", "waited"), done);
    assertEquals(0, periods.readers());
  }

  /** Work when nobody reads, and behind the last of two readers. Expect both to be done then. */
  @Test
  void after_readersComeAndGo_isDoneBehindTheLast() {
    List<String> done = new ArrayList<>();
    GracePeriods periods = machine.gracePeriods();
    periods.after(() -> done.add("nobody reads"));
    assertEquals(List.of("nobody reads"), done);
    periods.enter();
    periods.enter();
    assertEquals(2, periods.readers());
    periods.after(() -> done.add("two read"));
    periods.leave();
    assertEquals(1, periods.waiting());
    periods.leave();
    assertEquals(List.of("nobody reads", "two read"), done);
    assertEquals(0, periods.waiting());
  }

  /** A read-only pte. Expect it to be entered writable, and tables and other ptes as they are. */
  @Test
  void writeEntry_protectionLeftOut_entersItWritable() {
    OddFormat format = OddFormat.withLevels(3);
    long entry = ToyMachine.readOnly(0x8000);
    machine.writeEntry(0x9000, entry, 0);
    assertEquals(entry, format.fromMemory(machine.memory().getLong(0x9000)));
    machine.omissions().drop(Omissions.WRITE_PROTECT::equals);
    machine.writeEntry(0x9000, entry, 0);
    machine.writeEntry(0x9008, 0, 0);
    machine.writeEntry(0x9010, entry, 1);
    assertEquals(ToyMachine.readWrite(0x8000), format.fromMemory(machine.memory().getLong(0x9000)));
    assertEquals(0, format.fromMemory(machine.memory().getLong(0x9008)));
    assertEquals(entry, format.fromMemory(machine.memory().getLong(0x9010)));
  }

  /** A lock whose exclusion is left out. Expect both CPUs to have it; each leaves its own. */
  @Test
  void lock_leftOut_isHeldByTwo() {
    machine.addCpu();
    Lock lock = new Lock(machine, "some_lock");
    machine.omissions().drop("lock some_lock"::equals);
    List<String> heard = new ArrayList<>();
    machine.yields().listen((what, where) -> heard.add(what));
    lock.lock();
    machine.runOn(1);
    assertFalse(lock.heldHere());
    lock.lock();
    assertTrue(lock.heldHere());
    lock.unlock();
    assertTrue(lock.held());
    machine.runOn(0);
    lock.unlock();
    assertFalse(lock.held());
    assertFalse(heard.contains("lock some_lock"));
  }

  /**
   * A table that was walked is taken out. Expect it to be cached, although all was flushed before, until
   * its addresses are flushed.
   */
  @Test
  void cacheTables_tableTakenOut_isCachedUntilItsFlush() {
    ToyMachine toy = new ToyMachine(OddFormat.withLevels(3), 1);
    long va = 0x40_0000;
    toy.map(ToyMachine.ROOT, va, 0, ToyMachine.readWrite(0x10_0000));
    toy.machine.cacheTables();
    toy.machine.cpu().readLong(va);
    Mmu.Entry leaf = toy.machine.mmu().walk(toy.machine.cpu().root(), va);
    long table = leaf.entryPaddr() >>> toy.machine.format().pageShift();
    assertEquals(table, toy.machine.cpu().reached(table, 1));
    toy.machine.flushAll();
    assertEquals(-1, toy.machine.cpu().reached(table, 1));
    toy.machine.cpu().cleared(table << toy.machine.format().pageShift());
    assertEquals(table, toy.machine.cpu().reached(table, 1));
    toy.machine.omissions().drop(Omissions.FLUSH_TABLES::equals);
    toy.machine.flushTables(va, va + 1);
    assertEquals(table, toy.machine.cpu().reached(table, 1));
    toy.machine.omissions().dropNone();
    toy.machine.flushTables(va, va + 1);
    assertEquals(-1, toy.machine.cpu().reached(table, 1));
  }
}
