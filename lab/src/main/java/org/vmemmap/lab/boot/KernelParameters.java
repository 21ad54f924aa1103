// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Printk;

/**
 * The parameters that no part of this model owns: those that the kernel documents have no effect
 * here, all others are told in the log as the kernel tells them.
 */
final class KernelParameters {
  private static final String NAMES = "kernel-parameters.txt";

  private KernelParameters() {}

  /**
   * Logs the words that a kernel would pass on to user space; words without {@code =} come first.
   */
  @Kernel(file = "init/main.c", symbol = "print_unknown_bootoptions")
  static void printUnknownBootoptions(List<Cmdline.Param> unowned, Printk printk) {
    if (unowned.isEmpty()) {
      return;
    }
    Set<String> known = names();
    List<String> arguments = new ArrayList<>();
    List<String> environment = new ArrayList<>();
    for (Cmdline.Param param : unowned) {
      if (!isKnown(param, known)) {
        (param.value() == null ? arguments : environment).add(param.word());
      }
    }
    arguments.addAll(environment);
    if (!arguments.isEmpty()) {
      printk.prInfo(
          "Unknown kernel command line parameters \""
              + String.join(" ", arguments)
              + "\", will be passed to user space.");
    }
  }

  /** A boot loader's word, a parameter of a module, or one that the kernel documents. */
  @Kernel(file = "init/main.c", symbol = "unknown_bootoption")
  private static boolean isKnown(Cmdline.Param param, Set<String> known) {
    String name = param.name().replace('-', '_');
    return name.startsWith("BOOT_IMAGE")
        || name.startsWith("kexec")
        || name.indexOf('.') >= 0
        || known.contains(name);
  }

  private static Set<String> names() {
    try (InputStream in = KernelParameters.class.getResourceAsStream(NAMES)) {
      if (in == null) {
        throw new IllegalStateException("resource " + NAMES + " is missing");
      }
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return new HashSet<>(text.lines().toList());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
