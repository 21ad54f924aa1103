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
  private final @Nullable BoltedMappings bolted;
  private @Nullable Checks checks;
  private @Nullable StoreBuffers buffers;
  private Predicate<String> omitted = step -> false;

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

  /** Adds a CPU that uses the first one's page tables. */
  public void addCpu() {
    Cpu added = new Cpu(this, cpus.size());
    added.loadRoot(cpus.getFirst().root());
    if (checks != null) {
      added.check(checks);
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
    if (omits("smp_wmb")) {
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
    cpus.forEach(cpu -> cpu.check(newChecks));
  }

  /**
   * To be called by whoever is about to write a page-table entry, wherever it lies.
   *
   * @param entryPaddr physical address of the entry
   * @throws MachineFault {@code break-before-make-violated} when that is checked for
   */
  public void beforeEntryWrite(long entryPaddr, long newEntry, int level) {
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

  /**
   * Leaves out steps from now on, to see whether a check notices: {@code flush_all}, {@code
   * flush_range}, {@code write_protect}, {@code smp_wmb}, and others at the line that asks.
   */
  public void omit(Predicate<String> steps) {
    omitted = steps;
  }

  /** True when {@code step} is to be left out now. */
  public boolean omits(String step) {
    return omitted.test(step);
  }

  /** Empties the translation cache of every CPU. */
  public void flushAll() {
    fullBarrier("flush_all", 0);
    if (omits("flush_all")) {
      return;
    }
    cpus.forEach(cpu -> cpu.tlb().flushAll());
  }

  /** Drops the translations of the addresses {@code start} to {@code end} - 1 on every CPU. */
  public void flushRange(long start, long end) {
    fullBarrier("flush_range", start);
    if (omits("flush_range")) {
      return;
    }
    cpus.forEach(cpu -> cpu.tlb().flushRange(start, end));
  }
}
