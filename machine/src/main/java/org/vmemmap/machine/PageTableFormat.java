// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

/**
 * The page-table format of an architecture: how many levels, how wide, and what the bits of an entry
 * mean. A small contract of constants and an entry codec; the machine and generic code know no more
 * about a CPU.
 *
 * <p>Levels count from the leaf: level 0 is the table whose entries map base pages; the root is level
 * {@code levels() - 1}. An entry is the 64-bit value that software handles; {@link #toMemory} and
 * {@link #fromMemory} give its bytes their order in memory.
 */
public interface PageTableFormat {
  /** The name for messages and reports, for example {@code x86-64 4-level}. */
  String name();

  /** Number of table levels, 2 to 5. */
  int levels();

  /** log2 of the base page size in bytes. */
  int pageShift();

  /** log2 of the bytes of address space behind one entry of a table at {@code level}. */
  int shift(int level);

  /** Entries in a table at {@code level}. */
  int entries(int level);

  /** The kernel's word for a table at {@code level}: pte, pmd, pud, p4d or pgd. */
  String levelName(int level);

  /** True when the hardware would use the entry. */
  boolean present(long entry, int level);

  /** True when a present entry maps memory and points to no further table. */
  boolean leaf(long entry, int level);

  /** The physical address in the entry: of the next table, or of the first byte mapped. */
  long address(long entry, int level);

  /** The entry without its address: what a dump shows as flags. */
  long flags(long entry, int level);

  /** True when the mapping, or all behind the table, may be written. */
  boolean writable(long entry, int level);

  /**
   * The entry of a pte that may be written, and is {@code entry} but for that; {@code entry} where
   * there is no protection.
   */
  default long writableLeaf(long entry) {
    return entry;
  }

  /** True when the mapping, or anything behind the table, may be executed. */
  boolean executable(long entry, int level);

  /**
   * True when the mapping belongs to a contiguous run that one translation may cover. Most CPUs
   * have no such runs.
   */
  default boolean contiguous(long entry, int level) {
    return false;
  }

  /**
   * log2 of the entries of a contiguous run at {@code level}; 0 where there are none. Runs are
   * aligned to their size.
   */
  default int contiguousShift(int level) {
    return 0;
  }

  /** log2 of the bytes that one cached translation of a leaf may cover: the leaf, or its run. */
  default int span(long entry, int level) {
    return shift(level) + (contiguous(entry, level) ? contiguousShift(level) : 0);
  }

  /**
   * True when a flush of a range drops what leaves gave, and tables stay cached until {@link
   * Machine#flushTables}.
   */
  default boolean flushRangeKeepsTables() {
    return false;
  }

  /**
   * True when a change between two valid entries must go through an invalid one and a flush. Most
   * CPUs do without.
   */
  default boolean breakBeforeMake() {
    return false;
  }

  /**
   * True when an entry in use may change in place from {@code oldEntry} to {@code newEntry}, both
   * present, without going through an invalid one.
   */
  default boolean liveChangeAllowed(long oldEntry, long newEntry, int level) {
    return !breakBeforeMake() || oldEntry == newEntry;
  }

  /** The bits of {@code va} that the walk uses, all others cleared. */
  long canonicalOffset(long va);

  /** The entry as the word that is stored in memory. */
  default long toMemory(long entry) {
    return entry;
  }

  /** The entry that a word in memory stands for. */
  default long fromMemory(long word) {
    return word;
  }

  /** The index of {@code va} in a table at {@code level}. */
  default int index(long va, int level) {
    return (int) (canonicalOffset(va) >>> shift(level)) & (entries(level) - 1);
  }
}
