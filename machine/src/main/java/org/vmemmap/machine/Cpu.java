// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * One CPU: loads and stores at virtual addresses.
 *
 * <p>Addresses in the machine's linear window map one to one and need no table, as a kernel's direct
 * map does. All others are looked up in this CPU's {@link Tlb} and, failing that, walked from its
 * root, or looked up in the machine's {@link BoltedMappings}. Units are naturally aligned.
 *
 * <p>Faults: {@code not-present}, {@code write-to-read-only}, {@code no-such-frame}, {@code
 * misaligned-access}; more with {@link Checks}.
 */
public final class Cpu {
  private final Machine machine;
  private final PhysicalMemory memory;
  private final PageTableFormat format;
  private final Mmu mmu;
  private final Tlb tlb;
  private final @Nullable BoltedMappings bolted;
  private final long linearStart;
  private final long linearEnd;
  private final int number;
  private final YieldPoints yields;
  private long root;

  /** What is watched for at each access; null for nothing. */
  private @Nullable Checks checks;

  /** Whether accesses are told to who listens. */
  private boolean told;
  private @Nullable WalkCache tables;

  Cpu(Machine machine, int number) {
    this.machine = machine;
    this.memory = machine.memory();
    this.format = machine.format();
    this.mmu = machine.mmu();
    this.tlb = new Tlb(format.pageShift());
    this.bolted = machine.bolted();
    this.linearStart = machine.linearBase();
    this.linearEnd = linearStart + memory.size();
    this.number = number;
    this.yields = machine.yields();
  }

  /** The number of this CPU, from 0. */
  public int number() {
    return number;
  }

  /** This CPU's translation cache. */
  public Tlb tlb() {
    return tlb;
  }

  /** Physical address of the top-level table in use; 0 before {@link #loadRoot}. */
  public long root() {
    return root;
  }

  /** Switches to another top-level table. Global translations stay cached, as on hardware. */
  public void loadRoot(long rootPaddr) {
    root = rootPaddr;
  }

  /** Reads the 64-bit word at {@code va}. */
  public long readLong(long va) {
    return memory.getLong(translate(va, false));
  }

  /** Writes the 64-bit word at {@code va}. */
  public void writeLong(long va, long value) {
    memory.setLong(translate(va, true), value);
  }

  /** Reads the 32-bit word at {@code va}. */
  public int readInt(long va) {
    return memory.getInt(translate(va, false));
  }

  /** Writes the 32-bit word at {@code va}. */
  public void writeInt(long va, int value) {
    memory.setInt(translate(va, true), value);
  }

  /** Reads the byte at {@code va}. */
  public byte readByte(long va) {
    return memory.getByte(translate(va, false));
  }

  /** Writes the byte at {@code va}. */
  public void writeByte(long va, byte value) {
    memory.setByte(translate(va, true), value);
  }

  /** Compare and exchange of the 64-bit word at {@code va}; returns what was there. */
  public long compareAndExchange(long va, long expected, long value) {
    yields.at("cmpxchg", va);
    return memory.compareAndExchange(translate(va, true), expected, value);
  }

  /** Compare and exchange of the 32-bit word at {@code va}: full order. True when it took place. */
  public boolean compareAndSetInt(long va, int expected, int value) {
    long paddr = translate(va, true);
    machine.drainStores();
    if (memory.getInt(paddr) != expected) {
      return false;
    }
    memory.setInt(paddr, value);
    machine.drainStores();
    return true;
  }

  /** Adds to the 32-bit word at {@code va} in one step, with full order. Returns the sum. */
  public int addInt(long va, int n) {
    long paddr = translate(va, true);
    machine.drainStores();
    if (machine.omissions().drops(Omissions.ATOMIC_ADD)) {
      return memory.getInt(paddr);
    }
    int sum = memory.getInt(paddr) + n;
    memory.setInt(paddr, sum);
    machine.drainStores();
    return sum;
  }

  /**
   * {@code atomic_add_unless()}: adds to the 32-bit word at {@code va} unless it is {@code unless}.
   * Looks first and exchanges then, so the word may be another one by then.
   *
   * @return true when it was added
   */
  public boolean addUnless(long va, int n, int unless) {
    boolean always = machine.omissions().drops(Omissions.ADD_UNLESS);
    int value;
    do {
      value = readInt(va);
    } while ((always || value != unless) && !compareAndSetInt(va, value, value + n));
    return always || value != unless;
  }

  /** Replaces the bits {@code mask} of the 64-bit word at {@code va} in one step, without order. */
  public void setBits(long va, long mask, long bits) {
    long paddr = translate(va, true);
    memory.setLong(paddr, (memory.getLong(paddr) & ~mask) | bits);
  }

  /** Fills {@code bytes} bytes at {@code va} with {@code value}; both are multiples of 8. */
  public void fill(long va, long bytes, byte value) {
    if (value == 0 && machine.omissions().drops(Omissions.CLEAR)) {
      return;
    }
    long end = va + bytes;
    while (va != end) {
      long run = Math.min(end - va, toPageEnd(va));
      announce(va, run, true);
      memory.fill(resolve(va, true), run, value);
      va += run;
    }
  }

  /** Copies {@code bytes} bytes from {@code from} to {@code to}; all are multiples of 8. */
  public void copy(long to, long from, long bytes) {
    if (machine.omissions().drops(Omissions.COPY)) {
      return;
    }
    for (long done = 0; done < bytes; ) {
      long run = Math.min(bytes - done, Math.min(toPageEnd(to + done), toPageEnd(from + done)));
      announce(to + done, run, true);
      announce(from + done, run, false);
      memory.copy(resolve(to + done, true), resolve(from + done, false), run);
      done += run;
    }
  }

  /**
   * The physical address behind {@code va}.
   *
   * @param write whether the access will write
   * @throws MachineFault {@code not-present} or {@code write-to-read-only}
   */
  public long translate(long va, boolean write) {
    if (told && yields.heard()) {
      announce(va, 1, write);
    }
    return resolve(va, write);
  }

  private long resolve(long va, boolean write) {
    if (Long.compareUnsigned(va, linearStart) >= 0 && Long.compareUnsigned(va, linearEnd) < 0) {
      return checks == null ? va - linearStart : checkFrame(va, va - linearStart);
    }
    long paddr = tlb.lookup(va, write);
    if (paddr < 0) {
      paddr = walk(va, write);
    }
    return checks == null ? paddr : check(checks, va, write, paddr);
  }

  /**
   * Tells who listens what an access will touch, before anything is looked up: another CPU may
   * change the tables meanwhile, but not between look-up and access, as a flush waits for that.
   */
  private void announce(long va, long bytes, boolean write) {
    if (!yields.heard()) {
      return;
    }
    long paddr = cached(va, write);
    paddr = paddr < 0 ? found(va) : paddr;
    if (paddr >= 0) {
      if (va - linearStart != paddr) {
        yields.translated(paddr >>> format.pageShift());
      }
      yields.access(paddr, bytes, write);
    }
  }

  /** Where a walk or a search leads; -1 for nowhere. */
  private long found(long va) {
    if (bolted != null) {
      BoltedMappings.Block block = bolted.block(va);
      return block == null ? -1 : block.target(va);
    }
    yields.access(mmu.walk(root, va).entryPaddr(), Long.BYTES, false);
    Mmu.Entry entry = mmu.walk(root, va);
    return format.present(entry.entry(), entry.level()) ? mmu.target(entry, va) : -1;
  }

  /** Where an access goes without a walk: the linear window or the cache; -1 for neither. */
  private long cached(long va, boolean write) {
    if (Long.compareUnsigned(va, linearStart) >= 0 && Long.compareUnsigned(va, linearEnd) < 0) {
      return va - linearStart;
    }
    return tlb.lookup(va, write);
  }

  void cacheTables() {
    tables = new WalkCache(mmu, format);
  }

  /** A table is about to be taken out of the one above. */
  void cleared(long table) {
    if (tables != null) {
      tables.cleared(table);
    }
  }

  void flushAll() {
    tlb.flushAll();
    if (tables != null) {
      tables.flushAll();
    }
  }

  void flushRange(long start, long end, boolean alsoTables) {
    tlb.flushRange(start, end);
    if (tables != null && alsoTables && start != end) {
      tables.flushRange(start, end);
    }
  }

  /** One of {@code n} frames that a cached translation or table leads into; -1 for none. */
  long reached(long first, long n) {
    long frame = tlb.reached(first, n);
    return frame < 0 && tables != null ? tables.reached(first, n) : frame;
  }

  void check(Checks newChecks) {
    checks = newChecks.atAccesses() ? newChecks : null;
    told = true;
    tlb.recordSources();
  }

  private long check(Checks active, long va, boolean write, long paddr) {
    if (active.staleTranslation() && bolted != null) {
      BoltedMappings.Block block = bolted.block(va);
      if (block == null || block.target(va) != paddr || (write && !block.writable())) {
        throw new MachineFault("stale-translation", "va", va, "paddr", paddr);
      }
    } else if (active.staleTranslation()) {
      Mmu.Entry entry = mmu.walk(root, va);
      boolean present = format.present(entry.entry(), entry.level());
      if (!present || mmu.target(entry, va) != paddr || (write && !mmu.writable(root, va))) {
        throw new MachineFault("stale-translation", "va", va, "paddr", paddr);
      }
    }
    return checkFrame(va, paddr);
  }

  private long checkFrame(long va, long paddr) {
    Predicate<FrameOwner> accessible = checks == null ? null : checks.accessible();
    if (accessible == null) {
      return paddr;
    }
    long frame = paddr >>> format.pageShift();
    FrameOwner owner = machine.ledger().ownerOf(frame);
    if (!accessible.test(owner)) {
      String detail = "owner=" + owner.name() + " va=0x" + Long.toHexString(va);
      throw new MachineFault("freed-frame-access", frame, detail);
    }
    return paddr;
  }

  private long walk(long va, boolean write) {
    yields.at("walk", va);
    if (bolted != null) {
      return search(bolted, va, write);
    }
    Mmu.Entry entry = mmu.walk(root, va);
    if (!format.present(entry.entry(), entry.level())) {
      throw new MachineFault("not-present", "va", va, format.levelName(entry.level()), entry.entry());
    }
    boolean writable = mmu.writable(root, va);
    if (write && !writable) {
      throw new MachineFault("write-to-read-only", "va", va, format.levelName(entry.level()), entry.entry());
    }
    long paddr = mmu.target(entry, va);
    tlb.insert(va, paddr, writable, format.span(entry.entry(), entry.level()));
    tlb.setSource(va, entry.entryPaddr());
    if (tables != null) {
      tables.walked(root, va);
    }
    return paddr;
  }

  private long search(BoltedMappings mappings, long va, boolean write) {
    BoltedMappings.Block block = mappings.block(va);
    if (block == null) {
      throw new MachineFault("not-present", "va", va);
    }
    if (write && !block.writable()) {
      throw new MachineFault("write-to-read-only", "va", va, "paddr", block.target(va));
    }
    tlb.insert(va, block.target(va), block.writable());
    return block.target(va);
  }

  private long toPageEnd(long va) {
    long size = 1L << format.pageShift();
    return size - (va & (size - 1));
  }
}
