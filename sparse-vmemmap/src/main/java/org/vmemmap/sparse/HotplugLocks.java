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
  private boolean deviceHotplug;
  private boolean memHotplug;

  HotplugLocks(Mm mm) {
    this.mm = mm;
  }

  /** Takes device_hotplug_lock; taking it twice would never return. */
  @Kernel(file = "drivers/base/core.c", symbol = "lock_device_hotplug")
  public void lockDeviceHotplug() {
    rule(!deviceHotplug, "lock_device_hotplug: device_hotplug_lock is held already");
    mm.machine().yields().at("lock", 0);
    deviceHotplug = true;
  }

  /** Gives device_hotplug_lock back. */
  @Kernel(file = "drivers/base/core.c", symbol = "unlock_device_hotplug")
  public void unlockDeviceHotplug() {
    rule(deviceHotplug, "unlock_device_hotplug: device_hotplug_lock is not held");
    deviceHotplug = false;
  }

  /** Takes mem_hotplug_lock for writing. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mem_hotplug_begin")
  public void memHotplugBegin() {
    rule(!memHotplug, "mem_hotplug_begin: mem_hotplug_lock is held already");
    mm.machine().yields().at("lock", 1);
    memHotplug = true;
  }

  /** Gives it back. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mem_hotplug_done")
  public void memHotplugDone() {
    rule(memHotplug, "mem_hotplug_done: mem_hotplug_lock is not held");
    memHotplug = false;
  }

  /** True while somebody holds either lock. */
  public boolean held() {
    return deviceHotplug || memHotplug;
  }

  void needDeviceHotplug(String who) {
    rule(deviceHotplug, who + ": device_hotplug_lock is not held");
  }

  void needMemHotplug(String who) {
    rule(memHotplug, who + ": mem_hotplug_lock is not held for writing");
  }

  private static void rule(boolean holds, String what) {
    if (!holds) {
      throw new KernelBug(what);
    }
  }
}
