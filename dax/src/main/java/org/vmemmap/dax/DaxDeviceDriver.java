// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.dax;

import org.vmemmap.types.Kernel;

/** {@code struct dax_device_driver}: what can be done with a DAX device. */
@Kernel(file = "drivers/dax/bus.h", symbol = "struct dax_device_driver")
public interface DaxDeviceDriver {
  /** {@code enum dax_driver_type}: which devices a driver takes without being asked. */
  @Kernel(file = "drivers/dax/bus.h", symbol = "enum dax_driver_type")
  enum Type {
    DAXDRV_KMEM_TYPE,
    DAXDRV_DEVICE_TYPE,
    DAXDRV_FSDEV_TYPE
  }

  /** Name in sysfs. */
  String name();

  /** Which devices are its by default. */
  Type type();

  /** Starts to use {@code devDax}; 0 or a negative error code. */
  int probe(DevDax devDax);

  /** Stops using it, before its managed resources are given back. */
  default void remove(DevDax devDax) {}
}
