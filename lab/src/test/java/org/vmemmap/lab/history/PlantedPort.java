// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.history;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.StringWriter;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.function.Function;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;
import org.jspecify.annotations.Nullable;
import org.vmemmap.arch.arm64.Arm64Mmu;
import org.vmemmap.arch.powerpc.Init64;
import org.vmemmap.arch.x86.X86Init64;
import org.vmemmap.dax.Memremap;
import org.vmemmap.hugetlb.Hugetlb;
import org.vmemmap.machine.Machine;
import org.vmemmap.pagealloc.PageAlloc;
import org.vmemmap.sparse.SparseVmemmap;
import org.vmemmap.types.Mm;

/**
 * The program with some of its files changed, beside the program as it is.
 *
 * <pre>
 *   this loader    changed classes, compiled into memory | the others of their module, and of
 *                                                          those that use it: lab always
 *   its parent     modules below the changed one | the JDK, libraries
 * </pre>
 *
 * A module below a changed one cannot tell the difference, so it is shared: it is loaded, and its
 * code is compiled, once for all bugs.
 */
final class PlantedPort extends ClassLoader {
  private static final Path ROOT = Path.of("..");
  private static final String ENTRY = "org.vmemmap.lab.check.HistoryRun";

  /** Modules of which each uses those before it; then those that use all of these. */
  private static final List<String> CHAIN =
      List.of("machine", "mm-types", "page-alloc", "sparse-vmemmap");

  private static final Map<String, String> MODULES =
      Map.of(
          "org.vmemmap.machine.", "machine",
          "org.vmemmap.types.", "mm-types",
          "org.vmemmap.pagealloc.", "page-alloc",
          "org.vmemmap.sparse.", "sparse-vmemmap",
          "org.vmemmap.hugetlb.", "hugetlb",
          "org.vmemmap.dax.", "dax",
          "org.vmemmap.arch.x86.", "arch-x86",
          "org.vmemmap.arch.arm64.", "arch-arm64",
          "org.vmemmap.arch.powerpc.", "arch-powerpc",
          "org.vmemmap.lab.", "lab");

  private static final JavaCompiler JAVAC =
      Objects.requireNonNull(ToolProvider.getSystemJavaCompiler(), "a JDK is needed");
  private static final StandardJavaFileManager FILES =
      JAVAC.getStandardFileManager(null, null, null);

  /** One class of each module, and of what their sources need besides: where it is, is the module. */
  private static final List<Class<?>> ONE_OF_EACH =
      List.of(
          Machine.class, Mm.class, PageAlloc.class, SparseVmemmap.class, Hugetlb.class,
          Memremap.class, X86Init64.class, Arm64Mmu.class, Init64.class, Nullable.class);

  private final Map<String, byte[]> changed;
  private final Set<String> own;

  private PlantedPort(Map<String, byte[]> changed, Set<String> own) {
    super(PlantedPort.class.getClassLoader());
    this.changed = changed;
    this.own = own;
  }

  /** The port with {@code bug}. */
  static PlantedPort with(Bug bug) {
    Map<String, String> sources = bug.diff().apply(PlantedPort::source);
    Set<String> modules = new HashSet<>();
    sources.keySet().forEach(file -> modules.add(file.substring(0, file.indexOf('/'))));
    return new PlantedPort(compile(bug.name(), sources), above(modules));
  }

  private static String source(String file) {
    try {
      return Files.readString(ROOT.resolve(file));
    } catch (IOException e) {
      throw new UncheckedIOException(file + ": no such file of the port", e);
    }
  }

  /** {@code modules}, and all that use them. */
  private static Set<String> above(Set<String> modules) {
    Set<String> all = new HashSet<>(modules);
    all.add("lab");
    for (int i = 0; i < CHAIN.size(); i++) {
      if (modules.contains(CHAIN.get(i))) {
        all.addAll(MODULES.values());
        all.removeAll(CHAIN.subList(0, i));
        break;
      }
    }
    return all;
  }

  /** The check of this port: a line of {@link Bug#check} to what was found. */
  @SuppressWarnings("unchecked")
  Function<String, List<String>> checks() {
    try {
      return (Function<String, List<String>>)
          loadClass(ENTRY).getDeclaredConstructor().newInstance();
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
    synchronized (getClassLoadingLock(name)) {
      Class<?> loaded = findLoadedClass(name);
      if (loaded != null) {
        return loaded;
      }
      return own.contains(module(name)) ? define(name) : super.loadClass(name, resolve);
    }
  }

  private Class<?> define(String name) throws ClassNotFoundException {
    byte[] bytes = changed.get(name);
    if (bytes == null) {
      String file = name.replace('.', '/') + ".class";
      try (InputStream in = getParent().getResourceAsStream(file)) {
        if (in == null) {
          throw new ClassNotFoundException(name);
        }
        bytes = in.readAllBytes();
      } catch (IOException e) {
        throw new ClassNotFoundException(name, e);
      }
    }
    return defineClass(name, bytes, 0, bytes.length);
  }

  private static String module(String name) {
    for (Map.Entry<String, String> each : MODULES.entrySet()) {
      if (name.startsWith(each.getKey())) {
        return each.getValue();
      }
    }
    return "";
  }

  // ---- compiling ----

  private static Map<String, byte[]> compile(String name, Map<String, String> sources) {
    List<JavaFileObject> units = new ArrayList<>();
    sources.forEach((file, text) -> units.add(new Source(file, text)));
    Classes classes = new Classes();
    StringWriter errors = new StringWriter();
    List<String> options =
        List.of("-proc:none", "-implicit:none", "-nowarn", "-g", "-classpath", classPath());
    if (!units.isEmpty() && !JAVAC.getTask(errors, classes, null, options, null, units).call()) {
      throw new IllegalArgumentException(name + ": does not compile\n" + errors);
    }
    Map<String, byte[]> all = new HashMap<>();
    classes.made.forEach((type, bytes) -> all.put(type, bytes.toByteArray()));
    return all;
  }

  /** Not java.class.path, which may be a jar that only names the others. */
  private static String classPath() {
    List<String> places = new ArrayList<>();
    for (Class<?> type : ONE_OF_EACH) {
      URL place = type.getProtectionDomain().getCodeSource().getLocation();
      places.add(Path.of(URI.create(place.toString())).toString());
    }
    return String.join(File.pathSeparator, places);
  }

  private static final class Source extends SimpleJavaFileObject {
    private final String text;

    Source(String file, String text) {
      super(URI.create("memory:///" + file), Kind.SOURCE);
      this.text = text;
    }

    @Override
    public CharSequence getCharContent(boolean ignoreEncodingErrors) {
      return text;
    }
  }

  /** Keeps classes in memory. */
  private static final class Classes extends ForwardingJavaFileManager<JavaFileManager> {
    private final Map<String, ByteArrayOutputStream> made = new HashMap<>();

    Classes() {
      super(FILES);
    }

    @Override
    public JavaFileObject getJavaFileForOutput(
        Location location, String className, JavaFileObject.Kind kind, FileObject sibling) {
      URI uri = URI.create("memory:///" + className.replace('.', '/') + kind.extension);
      return new SimpleJavaFileObject(uri, kind) {
        @Override
        public OutputStream openOutputStream() {
          ByteArrayOutputStream bytes = new ByteArrayOutputStream();
          made.put(className, bytes);
          return bytes;
        }
      };
    }
  }
}
