// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.check;

import org.vmemmap.dax.DaxBus;
import org.vmemmap.lab.boot.DaxOption;
import org.vmemmap.lab.boot.LabKernel;
import org.vmemmap.lab.boot.Ram;
import org.vmemmap.types.Errno;

/**
 * One thing that is done to a machine.
 *
 * @param path a file to write to, or {@code bind} for the first device of the machine
 * @param value what is written
 */
public record Step(String path, String value) {
  private static final String BIND = "bind";
  private static final int REGIONS = 8;

  static Step pool(long pages) {
    return new Step("/proc/sys/vm/nr_hugepages", Long.toString(pages));
  }

  static Step bind() {
    return new Step(BIND, "");
  }

  static Step unbind() {
    return new Step("unbind", "");
  }

  static Step write(String path, String value) {
    return new Step(path, value);
  }

  /** Does it. Returns 0 or a negative error code. */
  int run(LabKernel kernel, DaxOption device) {
    return switch (path) {
      case BIND -> bind(kernel, device);
      case "unbind" -> {
        var bound = kernel.dax().bound();
        yield bound.isEmpty() ? -Errno.ENODEV : kernel.dax().unbind(bound.getFirst().device());
      }
      default -> kernel.write(path, value);
    };
  }

  private static int bind(LabKernel kernel, DaxOption device) {
    DaxBus.Source source = device.pmem() ? DaxBus.Source.PMEM : DaxBus.Source.HMEM;
    DaxBus.MapTo map = device.mapDev() ? DaxBus.MapTo.DEV : DaxBus.MapTo.MEM;
    var ranges = device.pmem() ? kernel.spec().pmem() : kernel.spec().softReserved();
    if (ranges.isEmpty()) {
      return -Errno.ENODEV;
    }
    Ram range = ranges.getFirst();
    int rc = -Errno.ENODEV;
    for (int id = 0; id < REGIONS && rc == -Errno.ENODEV; id++) {
      rc =
          kernel
              .dax()
              .bind("dax" + id + ".0", source, range.start(), device.size(), device.align(), map);
    }
    return rc;
  }

  /** As in {@code echo 4 > /proc/sys/vm/nr_hugepages}. */
  String text() {
    return path.startsWith("/") ? "echo " + value + " > " + path : path;
  }
}
