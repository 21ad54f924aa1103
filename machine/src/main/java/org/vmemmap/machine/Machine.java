// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.machine;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A machine: memory, page-table format, CPUs, and the three hooks of a test bench (ledger, fault
 * injection, yield points). Two machines share nothing.
 */
public final class Machine {
  private final PhysicalMemory memory;
  private final PageTableFormat format;
  private final Mmu mmu;
  private final long linearBase;
  private final Ledger ledger;
  private final FaultInjection faults = new FaultInjection();
  private final YieldPoints yields = new YieldPoints();
  private final List<Cpu> cpus = new ArrayList<>();
  private Cpu current;
  private boolean tablesCached;
  private final @Nullable BoltedMappings bolted;
  private @Nullable Checks checks;
  private @Nullable StoreBuffers buffers;
  private @Nullable Predicate<FrameOwner> unkept;
  private final Omissions omissions = new Omissions();
  private final GracePeriods gracePeriods = new GracePeriods(omissions);

  /**
   * Builds a machine whose CPUs walk page tables.
   *
   * @param memoryBytes first physical address that does not exist, a multiple of 1 MiB
   * @param format the architecture's page tables
   * @param linearBase virtual address of physical address 0 in the linear window
   * @param owners who may own a frame, by ordinal; the first is the state of every frame at start
   * @param cpuCount number of CPUs, at least 1
   */
  public Machine(
      long memoryBytes, PageTableFormat format, long linearBase, FrameOwner[] owners, int cpuCount) {
    this(memoryBytes, format, linearBase, owners, cpuCount, null);
  }

  /**
   * Builds a machine whose CPUs ask {@code bolted} instead of walking page tables; with null, one
   * that walks.
   *
   * @param format gives the page size; its tables are for software only
   */
  public Machine(
      long memoryBytes,
      PageTableFormat format,
      long linearBase,
      FrameOwner[] owners,
      int cpuCount,
      @Nullable BoltedMappings bolted) {
    this.bolted = bolted;
    this.memory = new PhysicalMemory(memoryBytes);
    this.format = format;
    this.mmu = new Mmu(memory, format);
    this.linearBase = linearBase;
    this.ledger = new Ledger(owners, memoryBytes >>> format.pageShift());
    for (int i = 0; i < cpuCount; i++) {
      cpus.add(new Cpu(this, i));
    }
    this.current = cpus.get(0);
  }

  /** The bytes. */
  public PhysicalMemory memory() {
    return memory;
  }

  /** The page-table format. */
  public PageTableFormat format() {
    return format;
  }

  /** The table walker. */
  public Mmu mmu() {
    return mmu;
  }

  /** What the CPUs ask instead of page tables; null when they walk. */
  public @Nullable BoltedMappings bolted() {
    return bolted;
  }

  /** The virtual address of physical address 0 in the linear window. */
  public long linearBase() {
    return linearBase;
  }

  /** Who owns which frame. */
  public Ledger ledger() {
    return ledger;
  }

  /** Which allocation fails. */
  public FaultInjection faults() {
    return faults;
  }

  /** Where another CPU may run. */
  public YieldPoints yields() {
    return yields;
  }

  /** Calls of the primitives below that a test has left out. */
  public Omissions omissions() {
    return omissions;
  }

  /** Readers without a lock, and who waits for them. */
  public GracePeriods gracePeriods() {
    return gracePeriods;
  }

  /** All CPUs by number. */
  public List<Cpu> cpus() {
    return List.copyOf(cpus);
  }

  /** The CPU that runs now. */
  public Cpu cpu() {
    return current;
  }

  /** Lets CPU {@code number} run from now on. */
  public void runOn(int number) {
    current = cpus.get(number);
    if (buffers != null) {
      buffers.runOn(number);
    }
  }

  /** Adds a CPU that uses the first one's page tables, before there are {@link #bufferStores}. */
  public void addCpu() {
    Cpu added = new Cpu(this, cpus.size());
    added.loadRoot(cpus.getFirst().root());
    if (checks != null) {
      added.check(checks);
    }
    if (tablesCached) {
      added.cacheTables();
    }
    cpus.add(added);
  }

  /** Lets plain stores wait in buffers from now on, one of each CPU; see {@link StoreBuffers}. */
  public StoreBuffers bufferStores() {
    StoreBuffers made = new StoreBuffers(memory, cpus.size());
    made.runOn(current.number());
    memory.buffer(made);
    buffers = made;
    return made;
  }

  /** Drains all buffers and does without them from now on. */
  public void storeDirectly() {
    if (buffers != null) {
      for (Cpu cpu : cpus) {
        buffers.drain(cpu.number(), StoreBuffers.Drain.ALL);
      }
    }
    buffers = null;
    memory.buffer(null);
  }

  /** {@code smp_wmb}: others see the stores before it no later than those behind it. */
  public void writeBarrier(long where) {
    if (omissions.drops(Omissions.WRITE_BARRIER)) {
      return;
    }
    yields.at("smp_wmb", where);
    if (buffers != null) {
      buffers.writeBarrier();
    }
  }

  /** A step that orders everything, as an exchange or a lock does: {@code what} at {@code where}. */
  public void fullBarrier(String what, long where) {
    yields.at(what, where);
    drainStores();
  }

  /** Makes all stores of the CPU that runs visible. */
  public void drainStores() {
    if (buffers != null) {
      buffers.drain();
    }
  }

  /**
   * Watches for more from now on, on all CPUs. Costs nothing until it is called. Caches are emptied,
   * so that translations from before do not count.
   */
  public void check(Checks newChecks) {
    checks = newChecks;
    memory.trackWrites(newChecks.uninitialisedRead());
    ledger.watch(newChecks.uncached() == null && unkept == null ? null : this::moves);
    cpus.forEach(cpu -> cpu.check(newChecks));
  }

  /**
   * From now on memory holds {@code garbage} where nobody wrote yet, and frames lose what they hold
   * when they get an owner that {@code forgets}. To be called before memory is written.
   */
  public void holdGarbage(long garbage, Predicate<FrameOwner> forgets) {
    unkept = forgets;
    memory.powerOnWith(garbage);
    ledger.watch(this::moves);
  }

  private void moves(long first, long n, FrameOwner from, FrameOwner to) {
    Predicate<FrameOwner> uncached = checks == null ? null : checks.uncached();
    for (Cpu cpu : cpus) {
      long frame = uncached == null ? -1 : cpu.reached(first, n);
      if (uncached != null && frame >= 0 && (uncached.test(from) || uncached.test(to))) {
        throw new MachineFault(
            "tlb-reaches-freed-frame", frame, "to=" + to.name() + " cpu=" + cpu.number());
      }
    }
    if (unkept != null && unkept.test(to)) {
      memory.forget(first << format.pageShift(), n << format.pageShift());
    }
  }

  /** Takes lock {@code number} of those called {@code name}; another CPU that has it goes first. */
  public void lock(String name, long number) {
    if (!omissions.drops(Omissions.LOCK, name)) {
      yields.lock(name, number);
    }
  }

  /** Leaves a lock. */
  public void unlock(String name, long number) {
    if (!omissions.drops(Omissions.UNLOCK, name)) {
      yields.unlock(name, number);
    }
  }

  /** {@code atomic_long_add()}: the value of {@code counter} when {@code n} is added to it. */
  public long add(String counter, long value, long n) {
    yields.touched(counter);
    return omissions.drops(Omissions.ADD, counter) ? value : value + n;
  }

  /** {@code test_bit()}: true when a bit of {@code mask}, called {@code name}, is set in {@code word}. */
  public boolean testBit(String name, long word, long mask) {
    return (word & mask) != 0 && !omissions.drops(Omissions.TEST_BIT, name);
  }

  /**
   * {@code cmpxchg(&cells[slot], NULL, value)} on what is called {@code where}: full order.
   *
   * @return null when the cell was empty and holds {@code value} now, else what is there and stays
   */
  public <T> @Nullable T exchangeIfNull(
      String where, @Nullable T[] cells, int slot, T value) {
    fullBarrier(Omissions.CMPXCHG + " " + where, slot);
    synchronized (cells) {
      T old = omissions.drops(Omissions.CMPXCHG, where) ? null : cells[slot];
      cells[slot] = old == null ? value : old;
      return old;
    }
  }

  /**
   * Writes the page-table entry at {@code entryPaddr}, which belongs to a table at {@code level}.
   *
   * @throws MachineFault {@code break-before-make-violated} when that is checked for
   */
  public void writeEntry(long entryPaddr, long entry, int level) {
    yields.access(entryPaddr, Long.BYTES, true);
    beforeEntryWrite(entryPaddr, entry, level);
    if (tablesCached && level > 0 && !format.present(entry, level)) {
      beforeTableLeaves(format.fromMemory(memory.getLongAcquire(entryPaddr)), level);
    }
    boolean isProtected =
        level == 0 && format.present(entry, level) && !format.writable(entry, level);
    boolean bare = isProtected && omissions.drops(Omissions.WRITE_PROTECT);
    memory.setLongRelease(
        entryPaddr, format.toMemory(bare ? format.writableLeaf(entry) : entry));
  }

  private void beforeTableLeaves(long old, int level) {
    if (format.present(old, level) && !format.leaf(old, level)) {
      cpus.forEach(cpu -> cpu.cleared(format.address(old, level)));
    }
  }

  /**
   * What is checked before a page-table entry is written.
   *
   * @param entryPaddr physical address of the entry
   * @throws MachineFault {@code break-before-make-violated} when that is checked for
   */
  void beforeEntryWrite(long entryPaddr, long newEntry, int level) {
    if (checks != null && checks.breakBeforeMake() && format.breakBeforeMake()) {
      checkBreakBeforeMake(entryPaddr, newEntry, level);
    }
  }

  /**
   * A break is an entry that is not present; a make must find no translation of the old entry in any
   * cache. Of tables only the entry itself is watched: what was reached through it may be cached.
   */
  private void checkBreakBeforeMake(long entryPaddr, long newEntry, int level) {
    if (!format.present(newEntry, level)) {
      return;
    }
    long oldEntry = format.fromMemory(memory.getLongAcquire(entryPaddr));
    boolean inUse = format.present(oldEntry, level);
    boolean unsafe = inUse && !format.liveChangeAllowed(oldEntry, newEntry, level);
    if (unsafe || (!inUse && cpus.stream().anyMatch(cpu -> cpu.tlb().cachedFrom(entryPaddr)))) {
      throw new MachineFault("break-before-make-violated", "old", oldEntry, "new", newEntry);
    }
  }

  /** Empties the translation cache of every CPU. */
  public void flushAll() {
    fullBarrier("flush_all", 0);
    if (omissions.drops(Omissions.FLUSH_ALL)) {
      return;
    }
    cpus.forEach(Cpu::flushAll);
  }

  /** Drops the translations of the addresses {@code start} to {@code end} - 1 on every CPU. */
  public void flushRange(long start, long end) {
    fullBarrier("flush_range", start);
    if (omissions.drops(Omissions.FLUSH_RANGE)) {
      return;
    }
    boolean tables = !format.flushRangeKeepsTables();
    cpus.forEach(cpu -> cpu.flushRange(start, end, tables));
  }

  /** Drops the tables, too, that serve the addresses {@code start} to {@code end} - 1. */
  public void flushTables(long start, long end) {
    fullBarrier("flush_tables", start);
    if (omissions.drops(Omissions.FLUSH_TABLES)) {
      return;
    }
    cpus.forEach(cpu -> cpu.flushRange(start, end, true));
  }

  /** Lets all CPUs remember the tables of their walks from now on; see {@link WalkCache}. */
  public void cacheTables() {
    tablesCached = true;
    cpus.forEach(Cpu::cacheTables);
  }
}
