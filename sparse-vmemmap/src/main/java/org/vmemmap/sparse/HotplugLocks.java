// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.types.Kernel;
import org.vmemmap.types.KernelBug;
import org.vmemmap.types.Mm;

/**
 * The two locks of memory hotplug, and the rule that a caller holds them.
 *
 * <pre>
 *   device_hotplug_lock   one add, remove, online or offline at a time; outermost
 *     mem_hotplug_lock    memmap and zones change; readers are those who look at online memory
 * </pre>
 *
 * The kernel states the rules in comments; here breaking one is an exception.
 */
public final class HotplugLocks {
  private final Mm mm;
  private static final int FREE = -1;

  private int deviceHotplug = FREE;
  private int memHotplug = FREE;

  HotplugLocks(Mm mm) {
    this.mm = mm;
  }

  /** Takes device_hotplug_lock; taking it twice would never return. */
  @Kernel(file = "drivers/base/core.c", symbol = "lock_device_hotplug")
  public void lockDeviceHotplug() {
    mm.machine().yields().lock("device_hotplug_lock", 0);
    rule(deviceHotplug == FREE, "lock_device_hotplug: device_hotplug_lock is held already");
    deviceHotplug = cpu();
  }

  /** Gives device_hotplug_lock back. */
  @Kernel(file = "drivers/base/core.c", symbol = "unlock_device_hotplug")
  public void unlockDeviceHotplug() {
    rule(deviceHotplug == cpu(), "unlock_device_hotplug: device_hotplug_lock is not held");
    deviceHotplug = FREE;
    mm.machine().yields().unlock("device_hotplug_lock", 0);
  }

  /** Takes mem_hotplug_lock for writing. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mem_hotplug_begin")
  public void memHotplugBegin() {
    mm.machine().yields().lock("mem_hotplug_lock", 0);
    if (omitted()) {
      return;
    }
    rule(memHotplug == FREE, "mem_hotplug_begin: mem_hotplug_lock is held already");
    memHotplug = cpu();
  }

  /** Gives it back. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mem_hotplug_done")
  public void memHotplugDone() {
    if (omitted()) {
      return;
    }
    rule(memHotplug == cpu(), "mem_hotplug_done: mem_hotplug_lock is not held");
    memHotplug = FREE;
    mm.machine().yields().unlock("mem_hotplug_lock", 0);
  }

  /** True while somebody holds either lock. */
  public boolean held() {
    return deviceHotplug != FREE || memHotplug != FREE;
  }

  void needDeviceHotplug(String who) {
    rule(deviceHotplug == cpu(), who + ": device_hotplug_lock is not held");
  }

  void needMemHotplug(String who) {
    rule(memHotplug == cpu() || omitted(), who + ": mem_hotplug_lock is not held for writing");
  }

  /** True in a machine that is to show what happens without mem_hotplug_lock. */
  private boolean omitted() {
    return mm.machine().omits("lock mem_hotplug_lock");
  }

  private int cpu() {
    return mm.machine().cpu().number();
  }

  private static void rule(boolean holds, String what) {
    if (!holds) {
      throw new KernelBug(what);
    }
  }
}
