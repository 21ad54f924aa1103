// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.vmemmap.machine.Lock;
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
  private final Lock deviceHotplug;
  private final Lock memHotplug;

  HotplugLocks(Mm mm) {
    this.deviceHotplug = new Lock(mm.machine(), "device_hotplug_lock");
    this.memHotplug = new Lock(mm.machine(), "mem_hotplug_lock");
  }

  /** Takes device_hotplug_lock; taking it twice would never return. */
  @Kernel(file = "drivers/base/core.c", symbol = "lock_device_hotplug")
  public void lockDeviceHotplug() {
    rule(!deviceHotplug.heldHere(), "lock_device_hotplug: device_hotplug_lock is held already");
    deviceHotplug.lock();
  }

  /** Gives device_hotplug_lock back. */
  @Kernel(file = "drivers/base/core.c", symbol = "unlock_device_hotplug")
  public void unlockDeviceHotplug() {
    rule(deviceHotplug.heldHere(), "unlock_device_hotplug: device_hotplug_lock is not held");
    deviceHotplug.unlock();
  }

  /** Takes mem_hotplug_lock for writing. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mem_hotplug_begin")
  public void memHotplugBegin() {
    rule(!memHotplug.heldHere(), "mem_hotplug_begin: mem_hotplug_lock is held already");
    memHotplug.lock();
  }

  /** Gives it back. */
  @Kernel(file = "mm/memory_hotplug.c", symbol = "mem_hotplug_done")
  public void memHotplugDone() {
    rule(memHotplug.heldHere(), "mem_hotplug_done: mem_hotplug_lock is not held");
    memHotplug.unlock();
  }

  /** True while somebody holds either lock. */
  public boolean held() {
    return deviceHotplug.held() || memHotplug.held();
  }

  void needDeviceHotplug(String who) {
    rule(deviceHotplug.needed(), who + ": device_hotplug_lock is not held");
  }

  void needMemHotplug(String who) {
    rule(memHotplug.needed(), who + ": mem_hotplug_lock is not held for writing");
  }

  private static void rule(boolean holds, String what) {
    if (!holds) {
      throw new KernelBug(what);
    }
  }
}
