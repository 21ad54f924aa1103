// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.util.function.LongToIntFunction;
import org.jspecify.annotations.Nullable;
import org.vmemmap.dax.Bus;
import org.vmemmap.dax.DaxBus;
import org.vmemmap.dax.DaxDeviceDriver;
import org.vmemmap.dax.DaxRegion;
import org.vmemmap.dax.DevDax;
import org.vmemmap.types.DevPagemap;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kstrtox;

/**
 * The files of device DAX below /sys/bus/dax.
 *
 * <pre>
 *   drivers/device_dax/bind, unbind, new_id, remove_id     a name as in dax0.0
 *   devices/daxR.D/size, align                             bytes; read, and write unless static
 *   devices/daxR.D/mapping                                 START-END in hexadecimal; write unless static
 *   devices/daxR.D/state                                   of System RAM: unplugged, online_movable ...
 *   devices/daxR.D/dax_region/create, delete               1; a name
 *   devices/daxR.D/dax_region/available_size, size, align  bytes; read
 * </pre>
 */
final class DaxSysfs {
  private static final String DRIVER = "/sys/bus/dax/drivers/device_dax/";
  private static final String DEVICES = "/sys/bus/dax/devices/";
  private static final String REGION = "dax_region/";
  private static final int WRITABLE = 0200;

  private final DaxBus dax;
  private final Bus bus;
  private final DaxDeviceDriver driver;

  DaxSysfs(DaxBus dax) {
    this.dax = dax;
    this.bus = dax.bus();
    this.driver = dax.deviceDax();
  }

  /**
   * Writes to a file. Returns 0 or a negative error code; -ENOENT when there is no such file, -EACCES
   * when it is one to read.
   */
  int write(String path, String value) {
    if (path.startsWith(DRIVER)) {
      return writeDriver(path.substring(DRIVER.length()), value);
    }
    DevDax device = device(path);
    return device == null ? -Errno.ENOENT : writeDevice(device, file(path), value);
  }

  private int writeDriver(String file, String name) {
    return switch (file) {
      case "bind" -> bus.bindStore(driver, name);
      case "unbind" -> bus.unbindStore(driver, name);
      case "new_id" -> bus.newIdStore(driver, name);
      case "remove_id" -> bus.removeIdStore(driver, name);
      default -> -Errno.ENOENT;
    };
  }

  private int writeDevice(DevDax device, String file, String value) {
    int mode = Bus.devDaxVisible(device, file, WRITABLE);
    if ((mode & WRITABLE) == 0) {
      return mode == 0 ? -Errno.ENOENT : -Errno.EACCES;
    }
    return switch (file) {
      case "size" -> store(Kstrtox.kstrtoul(value, 0), size -> bus.sizeStore(device, size));
      case "align" -> store(Kstrtox.kstrtoul(value, 0), align -> bus.alignStore(device, align));
      case "mapping" -> mapping(device, value);
      case "state" -> dax.writeKmemState(device.name(), value);
      case REGION + "create" ->
          store(Kstrtox.kstrtoint(value, 0), val -> bus.createStore(device.region(), (int) val));
      case REGION + "delete" -> bus.deleteStore(device.region(), value);
      default -> -Errno.ENOENT;
    };
  }

  private int mapping(DevDax device, String value) {
    int dash = value.indexOf('-');
    long start = dash < 0 ? -1 : Numbers.hex(value.substring(0, dash));
    long end = dash < 0 ? -1 : Numbers.hex(value.substring(dash + 1));
    return start < 0 || end < 0 ? -Errno.EINVAL : bus.mappingStore(device, start, end);
  }

  private static int store(Kstrtox.Parsed number, LongToIntFunction store) {
    return number.rc() < 0 ? number.rc() : store.applyAsInt(number.value());
  }

  /** Reads a file; null when there is no such file. */
  @Nullable String read(String path) {
    DevDax device = device(path);
    if (device == null) {
      return null;
    }
    DaxRegion region = device.region();
    return switch (file(path)) {
      case "size" -> Long.toString(size(device));
      case "align" -> Long.toString(device.align());
      case "state" -> dax.kmemState(device.name());
      case REGION + "available_size" -> Long.toString(bus.daxRegionAvailSize(region));
      case REGION + "size" -> Long.toString(region.size());
      case REGION + "align" -> Long.toString(region.align());
      default -> null;
    };
  }

  private static long size(DevDax device) {
    long size = 0;
    for (DevPagemap.Range range : device.ranges()) {
      size += range.len();
    }
    return size;
  }

  private @Nullable DevDax device(String path) {
    if (!path.startsWith(DEVICES)) {
      return null;
    }
    String rest = path.substring(DEVICES.length());
    int slash = rest.indexOf('/');
    return slash < 0 ? null : bus.find(rest.substring(0, slash));
  }

  private static String file(String path) {
    String rest = path.substring(DEVICES.length());
    return rest.substring(rest.indexOf('/') + 1);
  }
}
