// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import org.jspecify.annotations.Nullable;
import org.vmemmap.machine.Machine;

/**
 * The memory manager's shared state on one machine: what C reaches through global variables and
 * inline functions. Each ported file is a class that takes an {@code Mm}.
 */
public final class Mm {
  private final Machine machine;
  private final MmConfig config;
  private final Printk printk;
  private final MemoryModel model;
  private final Rcu rcu;
  private final Mmzone mmzone;
  private final ZoneSet zones;
  private final Nodes nodes;
  private final StructPage struct;
  private final PageFlags flags;
  private final PageRef refs;
  private final MmInline inline;
  private final Pgtable pgtable;
  private final KernelData data;
  private final Lists lists;
  private final VmStat vmstat;

  /**
   * Where the boot loader put the kernel and where it wants its memmap.
   *
   * @param vmemmapBase virtual address of the struct page of pfn 0
   * @param initMmPgd physical address of init_mm's top-level table, inside the kernel image
   * @param dataPaddr physical address of the static data used here, inside the kernel image
   * @param dataBytes its length
   */
  public record Image(long vmemmapBase, long initMmPgd, long dataPaddr, long dataBytes) {}

  /** Ties the headers to a machine. All CPUs start on init_mm's table. */
  public Mm(Machine machine, ArchPgtable arch, MmConfig config, Image image) {
    this.machine = machine;
    this.vmstat = new VmStat(machine);
    this.config = config;
    this.printk = new Printk(config.debugVm(), machine.yields());
    this.model = new MemoryModel(machine, config, image.vmemmapBase());
    this.rcu = new Rcu(machine);
    this.mmzone = new Mmzone(config, arch.pageShift(), rcu, machine.yields());
    this.zones = config.zones();
    this.nodes =
        new Nodes(
            zones,
            config.vmemmapOptimization() ? mmzone.nrVmemmapTails() : 0,
            config.series().sharesTailsInNode());
    this.struct = new StructPage(machine, config);
    this.flags = new PageFlags(struct, printk, config);
    this.refs = new PageRef(struct, flags, printk);
    this.inline = new MmInline(struct, flags, printk, nodes, config, mmzone);
    this.pgtable = new Pgtable(machine, arch, model, model.va(image.initMmPgd()));
    this.data = new KernelData(model.va(image.dataPaddr()), image.dataBytes());
    this.lists = new Lists(machine, data, config);
    machine.cpus().forEach(cpu -> cpu.loadRoot(image.initMmPgd()));
  }

  /** The hardware. */
  public Machine machine() {
    return machine;
  }

  /** How the kernel was built. */
  public MmConfig config() {
    return config;
  }

  /** Which patches of the series the kernel has. */
  public Series series() {
    return config.series();
  }

  /** The log and the WARN and BUG macros. */
  public Printk printk() {
    return printk;
  }

  /** pfn, page and address conversions. */
  public MemoryModel model() {
    return model;
  }

  /** Who reads without locks. */
  public Rcu rcu() {
    return rcu;
  }

  /** Sections. */
  public Mmzone mmzone() {
    return mmzone;
  }

  /** The zones that the kernel is built with, and their numbers. */
  public ZoneSet zones() {
    return zones;
  }

  /** Nodes and their zones. */
  public Nodes nodes() {
    return nodes;
  }

  /** Fields of struct page. */
  public StructPage struct() {
    return struct;
  }

  /** Page flags and compound pages. */
  public PageFlags flags() {
    return flags;
  }

  /** Reference counts. */
  public PageRef refs() {
    return refs;
  }

  /** Node and zone of a page, compound heads and tails. */
  public MmInline inline() {
    return inline;
  }

  /** Page tables. */
  public Pgtable pgtable() {
    return pgtable;
  }

  /** Lists in simulated memory. */
  public Lists lists() {
    return lists;
  }

  /** Static data of the kernel image, for structures that need an address. */
  public KernelData data() {
    return data;
  }

  /** The memmap counters. */
  public VmStat vmstat() {
    return vmstat;
  }

  /** {@code cond_resched()}: another CPU may run here; {@code where} says how far the loop is. */
  @Kernel(file = "include/linux/sched.h", symbol = "cond_resched")
  public void condResched(long where) {
    machine.yields().at("cond_resched", where);
  }

  /**
   * {@code cmpxchg(&zone->vmemmap_tails[slot], NULL, tail)}: null when the slot was empty, else the
   * page that is there and stays.
   */
  public @Nullable Page cmpxchgVmemmapTail(Zone zone, int slot, Page tail) {
    return machine.exchangeIfNull("zone->vmemmap_tails", zone.vmemmapTails, slot, tail);
  }

  /** True when the allocation at {@code site}, a kernel function, is to fail now. */
  public boolean mayFail(String site) {
    return machine.faults().mayFail(site);
  }

  /** Books {@code n} frames from {@code pfn} to {@code owner}, from whoever owns all of them. */
  public void own(long pfn, long n, Owner owner) {
    machine.yields().moved(pfn, n);
    machine.ledger().transfer(pfn, n, machine.ledger().ownerOf(pfn), owner);
  }
}
