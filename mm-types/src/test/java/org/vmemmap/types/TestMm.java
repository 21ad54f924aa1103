// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.vmemmap.machine.FrameOwner;
import org.vmemmap.machine.Machine;

/**
 * A kernel's headers on a small machine, whose memmap lies in the linear window, so that tests need
 * no page tables for it.
 *
 * <pre>
 *   0          1 MiB        64 KiB more   512 MiB                          1 GiB
 *   | root      | data       |             | memmap: pfn 0, 1, 2, ...       |
 * </pre>
 */
final class TestMm {
  static final long LINEAR = 0xffff_8000_0000_0000L;
  static final long MEMMAP = LINEAR + (512L << 20);
  static final long ROOT = 0x1000;
  static final long DATA = 1L << 20;
  static final long DATA_BYTES = 1L << 16;

  private TestMm() {}

  static Mm debian() {
    return with(MmConfig.debianX86().withDebugVm(true));
  }

  static Mm with(MmConfig config) {
    return with(config, OddPgtable.withLevels(4));
  }

  static Mm with(MmConfig config, ArchPgtable arch) {
    FrameOwner[] owners = Owner.values();
    Machine machine = new Machine(1L << 30, arch, LINEAR, owners, 1);
    return new Mm(machine, arch, config, new Mm.Image(MEMMAP, ROOT, DATA, DATA_BYTES));
  }

  /** A JSON file below {@code cases}. */
  static JsonObject read(String file) throws IOException {
    return JsonParser.parseString(Files.readString(Path.of("../cases", file))).getAsJsonObject();
  }
}
