// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.vmemmap.machine.StoreBuffers.Drain;

/** Stores that wait in the buffer of a CPU. CPU 0 stores, CPU 1 looks. */
class StoreBuffersTest {
  private static final long DATA = 0x1000;
  private static final long MORE = 0x1008;
  private static final long FLAG = 0x2000;

  private final ToyMachine toy = new ToyMachine(new OddFormat(3, true), 2);
  private final Machine machine = toy.machine;
  private final PhysicalMemory memory = machine.memory();
  private StoreBuffers buffers;

  @BeforeEach
  void buffer() {
    machine.runOn(0);
    buffers = machine.bufferStores();
  }

  private long seenBy(int cpu, long paddr) {
    machine.runOn(cpu);
    long value = memory.getLong(paddr);
    machine.runOn(0);
    return value;
  }

  /** One store. Expect its CPU to see it at once, and the other after the drain. */
  @Test
  void store_beforeTheDrain_isSeenByItsOwnCpuOnly() {
    memory.setLong(DATA, 7);
    assertEquals(7, seenBy(0, DATA));
    assertEquals(0, seenBy(1, DATA));
    assertTrue(buffers.pending(0));

    buffers.drain(0, Drain.ALL);
    assertEquals(7, seenBy(1, DATA));
    assertFalse(buffers.pending(0));
  }

  /** Data, then a flag, without a barrier. Expect that the flag can overtake the data. */
  @Test
  void drainNewest_withoutBarrier_letsTheFlagOvertake() {
    memory.setLong(DATA, 7);
    memory.setLong(FLAG, 1);
    buffers.drain(0, Drain.NEWEST);
    assertEquals(1, seenBy(1, FLAG));
    assertEquals(0, seenBy(1, DATA));
    assertEquals(7, seenBy(0, DATA));
  }

  /** The same with a write barrier between them. Expect the data before the flag. */
  @Test
  void drainNewest_withBarrier_showsTheDataFirst() {
    memory.setLong(DATA, 7);
    memory.setLong(MORE, 8);
    machine.writeBarrier(0);
    memory.setLongRelease(FLAG, 1);
    buffers.drain(0, Drain.NEWEST);
    assertEquals(1, seenBy(1, FLAG));
    assertEquals(7, seenBy(1, DATA));
    assertEquals(8, seenBy(1, MORE));
  }

  /** A barrier that is left out orders nothing. */
  @Test
  void writeBarrier_omitted_ordersNothing() {
    machine.omissions().drop(Omissions.WRITE_BARRIER::equals);
    memory.setInt(DATA, 7);
    machine.writeBarrier(0);
    memory.setLong(FLAG, 1);
    buffers.drain(0, Drain.NEWEST);
    assertEquals(0, seenBy(1, DATA));
  }

  /** An exchange and a flush. Expect each to make all stores before it visible. */
  @Test
  void fullBarrier_always_drainsTheCpuThatRuns() {
    memory.setByte(DATA, (byte) 7);
    memory.compareAndExchange(FLAG, 0, 1);
    assertEquals(7, seenBy(1, DATA));
    memory.fill(DATA, 16, (byte) 1);
    memory.copy(FLAG, DATA, 16);
    machine.flushAll();
    assertEquals(0x0101_0101_0101_0101L, seenBy(1, FLAG + 8));
  }

  /** The buffers are taken away. Expect nothing to be lost. */
  @Test
  void storeDirectly_withStoresWaiting_drainsThem() {
    memory.setLong(DATA, 7);
    memory.setRecords(FLAG, 2, new long[] {1, 2}, new long[] {10, 10});
    machine.storeDirectly();
    machine.runOn(1);
    assertEquals(7, memory.getLong(DATA));
    assertEquals(12, memory.getLong(FLAG + 24));
  }

  /** Stores of all widths and kinds. Expect each to wait, to merge with its word, and to end in place. */
  @Test
  void store_ofEachKind_waits() {
    memory.setInt(DATA + 4, 0x1122_3344);
    memory.setByte(DATA, (byte) 0x99);
    memory.setLongRelease(MORE, 5);
    memory.setRecords(FLAG, 2, new long[] {1, 2}, new long[] {10, 10});
    memory.fill(FLAG + 0x100, 16, (byte) 7);
    memory.setLong(MORE + 8, 6);
    memory.copy(FLAG + 0x200, DATA, 16);

    assertEquals(0x1122_3344_0000_0099L, seenBy(0, DATA));
    assertEquals(5, memory.getLongAcquire(MORE));
    assertEquals(12, seenBy(0, FLAG + 24));
    for (long at : new long[] {DATA, MORE, FLAG, FLAG + 24, FLAG + 0x100, FLAG + 0x200}) {
      assertEquals(0, seenBy(1, at));
    }
    buffers.drain(0, Drain.ALL);
    assertEquals(0x1122_3344_0000_0099L, seenBy(1, FLAG + 0x200));
    assertEquals(5, seenBy(1, FLAG + 0x208));
    assertEquals(0, seenBy(1, FLAG + 0x210));
    assertEquals(0x0707_0707_0707_0707L, seenBy(1, FLAG + 0x108));
    assertEquals(0, seenBy(1, FLAG + 0x110));
    assertEquals(12, seenBy(1, FLAG + 24));
  }

  /** No store is let out. Expect all to wait on. */
  @Test
  void drain_none_letsNothingOut() {
    memory.setLong(DATA, 7);
    machine.writeBarrier(0);
    memory.setLong(FLAG, 1);
    buffers.drain(0, Drain.NONE);

    assertTrue(buffers.pending(0));
    assertEquals(0, seenBy(1, DATA));
    assertEquals(7, seenBy(0, DATA));
    assertEquals(1, seenBy(0, FLAG));
  }

  /** The buffer is empty, or ends with a barrier. Expect the newest store to be none. */
  @Test
  void drainNewest_nothingWaits_changesNothing() {
    buffers.drain(0, Drain.NEWEST);
    assertFalse(buffers.pending(0));
    machine.writeBarrier(0);
    memory.setLong(DATA, 7);
    machine.writeBarrier(0);
    machine.writeBarrier(0);
    buffers.drain(0, Drain.NEWEST);

    assertFalse(buffers.pending(0));
    assertEquals(7, seenBy(1, DATA));
  }

  /** A word is stored twice, another in between. Expect the second time to be the newest store. */
  @Test
  void drainNewest_wordStoredAgain_letsOutItsLastValue() {
    memory.setLong(DATA, 7);
    memory.setLong(FLAG, 1);
    memory.setLong(DATA, 8);
    buffers.drain(0, Drain.NEWEST);

    assertEquals(8, seenBy(1, DATA));
    assertEquals(0, seenBy(1, FLAG));
  }

  /** A barrier with a listener. Expect a point, so that another CPU may run there. */
  @Test
  void writeBarrier_listener_hearsIt() {
    Hearing hearing = new Hearing();
    machine.yields().listen(hearing);
    machine.writeBarrier(0x12);
    machine.fullBarrier("dsb", 0x34);

    assertEquals(List.of("smp_wmb@12", "dsb@34"), hearing.heard);
  }

  /** A full barrier, by name and without. Expect what waits to be seen. */
  @Test
  void fullBarrierAndDrainStores_storesWaiting_showThem() {
    memory.setLong(DATA, 7);
    machine.fullBarrier("dsb", 0);
    assertEquals(7, seenBy(1, DATA));
    memory.setLong(FLAG, 1);
    machine.drainStores();
    assertEquals(1, seenBy(1, FLAG));
  }

  /** CPU 1 runs when buffers come. Expect its stores to wait in its own, until they are taken away. */
  @Test
  void bufferStores_anotherCpuRuns_buffersItsStores() {
    machine.storeDirectly();
    machine.runOn(1);
    buffers = machine.bufferStores();
    memory.setLong(DATA, 7);

    assertTrue(buffers.pending(1));
    assertFalse(buffers.pending(0));
    machine.storeDirectly();
    machine.runOn(0);
    assertEquals(7, memory.getLong(DATA));
    memory.setLong(FLAG, 1);
    assertEquals(1, seenBy(1, FLAG));
    assertFalse(buffers.pending(1));
  }
}
