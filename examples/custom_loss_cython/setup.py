from Cython.Build import cythonize
from setuptools import Extension, setup

import sklearn_vectorflow

kernels = Extension(
    "custom_losses.kernels", ["src/custom_losses/kernels.pyx"], include_dirs=[sklearn_vectorflow.get_include()]
)
setup(ext_modules=cythonize([kernels]))
