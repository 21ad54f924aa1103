// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/**
 * A small machine with {@link OddFormat} and a way to enter mappings, for tests.
 *
 * <pre>
 *   0          64 KiB                  512 KiB                2 MiB
 *   | root      | tables, one per page  | frames for tests     |
 * </pre>
 */
final class ToyMachine {
  static final long ROOT = 0x1000;
  static final long SECOND_ROOT = 0x2000;
  static final long LINEAR = 0x4000_0000_0000L;

  final Machine machine;
  private final OddFormat format;
  private long nextTable = 0x1_0000;

  ToyMachine(OddFormat format, int cpus) {
    this.format = format;
    this.machine = new Machine(2L << 20, format, LINEAR, TestOwner.values(), cpus);
    machine.cpus().forEach(cpu -> cpu.loadRoot(ROOT));
  }

  /** Enters a leaf at {@code level} below {@code root}, with tables on the way; its address. */
  long map(long root, long va, int level, long leaf) {
    long table = root;
    for (int at = format.levels() - 1; at > level; at--) {
      table = next(table, at, va);
    }
    long slot = table + 8L * format.index(va, level);
    set(slot, leaf);
    return slot;
  }

  private long next(long table, int level, long va) {
    long slot = table + 8L * format.index(va, level);
    long entry = format.fromMemory(machine.memory().getLong(slot));
    if (!format.present(entry, level)) {
      entry = nextTable | OddFormat.PRESENT | OddFormat.WRITE | OddFormat.EXEC;
      nextTable += 0x1000;
      set(slot, entry);
    }
    return format.address(entry, level);
  }

  /** Stores an entry as the format has it in memory. */
  void set(long slot, long entry) {
    machine.memory().setLong(slot, format.toMemory(entry));
  }

  static long readWrite(long paddr) {
    return paddr | OddFormat.PRESENT | OddFormat.WRITE | OddFormat.LEAF;
  }

  static long readOnly(long paddr) {
    return paddr | OddFormat.PRESENT | OddFormat.LEAF;
  }
}
