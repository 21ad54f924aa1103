// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import org.jspecify.annotations.Nullable;
import org.vmemmap.pagealloc.Slab;
import org.vmemmap.types.Errno;
import org.vmemmap.types.IomemResource;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Printk;
import org.vmemmap.types.Resource;

/**
 * {@code struct device} and its managed resources: what a driver's probe function took is given
 * back, last taken first, when the probe fails or the driver is unbound.
 *
 * <pre>
 *   probe:   request region -> memremap -> add cdev -> run        (each adds an action)
 *   unbind:  kill <- ... <- remove cdev <- memunmap <- release region
 * </pre>
 */
@Kernel(
    file = "include/linux/device.h",
    symbol = "struct device",
    fidelity = Kernel.Fidelity.CUSTOM,
    why =
        "Only names, nodes, binding and devres; there is no sysfs, no power and no "
            + "reference count.")
public final class Device {
  private final String name;
  private final int numaNode;
  private final Deque<Action> devres = new ArrayDeque<>();
  private @Nullable Object driver;
  private @Nullable Object drvdata;
  private boolean registered;

  private record Action(@Nullable Object data, Runnable undo) {}

  /** A device that is not registered yet; {@code numaNode} is negative for none. */
  Device(String name, int numaNode) {
    this.name = name;
    this.numaNode = numaNode;
  }

  /** {@code dev_name()}. */
  @Kernel(file = "include/linux/device.h", symbol = "dev_name")
  public String name() {
    return name;
  }

  /** {@code dev_to_node()}: negative for none. */
  @Kernel(file = "include/linux/device.h", symbol = "dev_to_node")
  public int numaNode() {
    return numaNode;
  }

  /** {@code dev->driver}: null when no driver is bound. */
  public @Nullable Object driver() {
    return driver;
  }

  void setDriver(@Nullable Object value) {
    driver = value;
  }

  /** {@code dev_get_drvdata()}. */
  @Kernel(file = "include/linux/device.h", symbol = "dev_get_drvdata")
  @Nullable Object drvdata() {
    return drvdata;
  }

  /** {@code dev_set_drvdata()}. */
  @Kernel(file = "include/linux/device.h", symbol = "dev_set_drvdata")
  void setDrvdata(@Nullable Object value) {
    drvdata = value;
  }

  /** {@code device_is_registered()}. */
  @Kernel(file = "include/linux/device.h", symbol = "device_is_registered")
  boolean isRegistered() {
    return registered;
  }

  void setRegistered(boolean value) {
    registered = value;
  }

  /** {@code dev_warn()} and its like: the text with the device's name before it. */
  void warn(Printk printk, String text) {
    printk.prWarn(name + ": " + text);
  }

  /** {@code dev_WARN_ONCE()}: returns {@code condition}. */
  boolean warnOnce(Printk printk, boolean condition, String where) {
    return printk.warnOnOnce(condition, where);
  }

  /** {@code devm_add_action()}: 0 or -ENOMEM. {@code data} names the action for a release. */
  @Kernel(file = "drivers/base/devres.c", symbol = "__devm_add_action")
  int devmAddAction(Mm mm, @Nullable Object data, Runnable undo) {
    if (mm.mayFail("__devm_add_action")) {
      return -Errno.ENOMEM;
    }
    devres.push(new Action(data, undo));
    return 0;
  }

  /**
   * {@code devm_add_action_or_reset()}: as {@link #devmAddAction}, but undoes at once on failure.
   */
  @Kernel(file = "include/linux/device/devres.h", symbol = "__devm_add_action_or_reset")
  int devmAddActionOrReset(Mm mm, @Nullable Object data, Runnable undo) {
    int ret = devmAddAction(mm, data, undo);
    if (ret != 0) {
      undo.run();
    }
    return ret;
  }

  /** {@code devm_release_action()}: undoes the youngest action of {@code data} now. */
  @Kernel(file = "drivers/base/devres.c", symbol = "devm_release_action")
  void devmReleaseAction(Printk printk, Object data) {
    for (Iterator<Action> at = devres.iterator(); at.hasNext(); ) {
      Action action = at.next();
      if (data.equals(action.data)) {
        at.remove();
        action.undo.run();
        return;
      }
    }
    printk.warnOn(true, "devm_release_action: IS_ERR(dr)");
  }

  /** {@code devm_kzalloc()}: the linear address of zeroed memory; 0 when memory is short. */
  @Kernel(file = "drivers/base/devres.c", symbol = "devm_kmalloc")
  long devmKzalloc(Mm mm, Slab slab, long size) {
    long va = slab.kzalloc(size, numaNode, "devm_kmalloc");
    if (va != 0) {
      devres.push(new Action(null, () -> slab.kfree(va)));
    }
    return va;
  }

  /** {@code devm_request_mem_region()}: null when the range is in use or memory is short. */
  @Kernel(file = "kernel/resource.c", symbol = "__devm_request_region")
  @Nullable Resource devmRequestMemRegion(
      Mm mm, IomemResource iomem, long start, long n, String regionName) {
    if (mm.mayFail("__devm_request_region")) {
      return null;
    }
    Resource res = iomem.requestMemRegion(start, n, regionName);
    if (res != null) {
      devres.push(new Action(res, () -> iomem.releaseMemRegion(start, n)));
    }
    return res;
  }

  /** {@code devm_release_mem_region()}: gives one back early. */
  @Kernel(file = "kernel/resource.c", symbol = "__devm_release_region")
  void devmReleaseMemRegion(Printk printk, Resource res) {
    for (Iterator<Action> at = devres.iterator(); at.hasNext(); ) {
      Action action = at.next();
      if (action.data == res) {
        at.remove();
        action.undo.run();
        return;
      }
    }
    printk.warnOn(true, "__devm_release_region: devres_release()");
  }

  /** {@code devres_release_all()}: last taken, first given back. */
  @Kernel(file = "drivers/base/devres.c", symbol = "devres_release_all")
  void devresReleaseAll() {
    while (!devres.isEmpty()) {
      devres.pop().undo.run();
    }
  }

  @Override
  public String toString() {
    return name;
  }
}
